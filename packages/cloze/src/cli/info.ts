import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { backend } from "@cloze/tensor";
import type { Command } from "commander";
import type { Embedder } from "../embedding/embedder.js";
import { modulesOf } from "../embedding/folder/pipeline.js";
import type { EmbedderRoutes } from "../embedding/routed-embedder.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { loadModel } from "../families/index.js";
import { loadTokenizer } from "../text/index.js";
import { formatBytes, formatCount } from "../training/progress.js";
import { modelFolder } from "./model-argument.js";
import { type CommonOptions, formatTable, printResult } from "./output.js";

/** Whether what reads texts is no transformer in the folder itself: a table of vectors, a router. */
function isRowOfModules(folder: string): boolean {
  const path = join(folder, "modules.json");
  if (!existsSync(path)) return false;
  const modules: unknown = JSON.parse(readFileSync(path, "utf8"));
  const [first] = (Array.isArray(modules) ? modules : []) as { type?: unknown }[];
  return first !== undefined && !String(first.type).endsWith("Transformer");
}

/** The modules of an embedder, and what they hold. */
function printEmbedder(embedder: Embedder, options: CommonOptions, machine: object): void {
  const { routes, width, tokenizer } = embedder;
  const typesOf = (one: Embedder): string[] => modulesOf(one).map(({ type }) => type);
  const rows = routes === undefined ? [["", embedder] as const] : [...routes.embedders];
  const parameters = [...embedder.parameters].map(([name, { shape, size }]) => ({ name, shape, size }));
  const total = parameters.reduce((sum, { size }) => sum + size, 0);
  const value = {
    architecture: "Embedder",
    ...(routes === undefined
      ? { modules: typesOf(embedder) }
      : { routes: Object.fromEntries(rows.map(([name, one]) => [name, typesOf(one)])), chosen: routes.chosen }),
    parameters: total,
    bytes: 4 * total,
    width,
    tokenizerSize: tokenizer.vocabularySize,
    machine,
    tensors: parameters.map(({ name, shape }) => ({ name, shape })),
  };
  printResult(options, value, () =>
    [
      `Embedder: ${formatCount(total)} parameters, ${formatBytes(4 * total)} in float32, vectors of ${width} numbers`,
      ...rows.map(([name, one]) => `${name === "" ? "" : `${name}: `}${typesOf(one).join(", ")}`),
      ...(routes === undefined ? [`tokenizer: ${tokenizer.vocabularySize} entries`] : [takenRoutes(routes)]),
      "",
      formatTable([
        ["parameter", "shape", "size"],
        ...parameters.map(({ name, shape, size }) => [name, shape.join(" × "), formatCount(size)]),
      ]),
    ].join("\n"),
  );
}

/** Which route texts take. */
const takenRoutes = ({ chosen: { query, document, default: usual } }: EmbedderRoutes): string =>
  `queries: ${query ?? "refused"}; documents: ${document ?? "refused"}; texts without a role: ${usual ?? "refused"}`;

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
      if (isRowOfModules(folder)) {
        const embedder = loadEmbedder(folder);
        printEmbedder(embedder, options, machine);
        embedder.dispose();
        return;
      }
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
