import { existsSync } from "node:fs";
import { join } from "node:path";
import { backend } from "@cloze/tensor";
import type { Command } from "commander";
import { loadModel } from "../families/index.js";
import { loadTokenizer } from "../text/index.js";
import { formatBytes, formatCount } from "../training/progress.js";
import { modelFolder } from "./model-argument.js";
import { type CommonOptions, formatTable, printResult } from "./output.js";

/** `cloze info` */
export function addInfo(program: Command): void {
  program
    .command("info")
    .description("what a model holds; without one, what this machine offers")
    .argument("[model]", "a model folder, or an id of the hub")
    .action(async (named: string | undefined, options: CommonOptions) => {
      const { name, isa } = backend();
      const machine = { backend: name, isa, threads: backend().threads(), node: process.version };
      if (named === undefined) {
        printResult(
          options,
          machine,
          () => `${name} backend, ${isa}, ${machine.threads} threads, Node ${machine.node}`,
        );
        return;
      }
      const folder = await modelFolder(named, options);
      const model = loadModel(folder);
      const { config } = model.encoder;
      const parameters = [...model.parameters].map(([parameter, { shape, size }]) => ({
        name: parameter,
        shape,
        size,
      }));
      const total = parameters.reduce((sum, { size }) => sum + size, 0);
      const tokenizer = existsSync(join(folder, "tokenizer.json")) ? loadTokenizer(folder) : undefined;
      const value = {
        architecture: model.architecture,
        parameters: total,
        bytes: 4 * total,
        hiddenSize: config.hiddenSize,
        layers: config.layers,
        vocabularySize: config.vocabularySize,
        maxPositions: config.maxPositions,
        tokenizerSize: tokenizer?.vocabularySize,
        machine,
        tensors: parameters.map(({ name: parameter, shape }) => ({ name: parameter, shape })),
      };
      printResult(options, value, () =>
        [
          `${model.architecture}: ${formatCount(total)} parameters, ${formatBytes(4 * total)} in float32`,
          `${config.layers.length} layers, ${config.hiddenSize} wide, ${config.vocabularySize} entries, ${config.maxPositions} positions`,
          tokenizer === undefined ? "no tokenizer.json" : `tokenizer: ${tokenizer.vocabularySize} entries`,
          "",
          formatTable([
            ["parameter", "shape", "size"],
            ...parameters.map(({ name: parameter, shape, size }) => [parameter, shape.join(" × "), formatCount(size)]),
          ]),
        ].join("\n"),
      );
      model.dispose();
    });
}
