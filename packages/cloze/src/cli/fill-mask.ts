import type { Command } from "commander";
import { ClozeError } from "../errors.js";
import { loadModel } from "../families/index.js";
import { fillMask } from "../tasks/fill-mask.js";
import { loadTokenizer } from "../text/index.js";
import { wholeNumber } from "./arguments.js";
import { textsOf } from "./embed.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, formatTable, printResult } from "./output.js";

interface FillMaskOptions extends CommonOptions {
  model: string;
  input?: string;
  top: number;
}

/** `cloze fill-mask` */
export function addFillMask(program: Command): void {
  program
    .command("fill-mask")
    .description("predict what stands at [MASK]")
    .argument("[texts...]", "texts with [MASK]; or use --input")
    .requiredOption(`--model ${modelArgument}`, "a masked language model")
    .option("--input <file>", "one text a line; - for standard input")
    .option("--top <count>", "predictions per mask", wholeNumber(), 5)
    .action(async (given: string[], options: FillMaskOptions) => {
      const texts = textsOf(given, options.input);
      const folder = await modelFolder(options.model, options);
      const model = loadModel(folder, { architecture: "ForMaskedLM" });
      if (model.initialized.length > 0) {
        throw new ClozeError("HEAD_MISMATCH", `${options.model} holds no masked-language head`, {
          expected: "a model that was trained to predict masked tokens",
          remedy: "cloze pretrain makes one; --model there goes on from this one.",
        });
      }
      const predictions = fillMask(model, loadTokenizer(folder), texts, options.top);
      model.dispose();
      printResult(options, predictions, () =>
        predictions
          .flatMap(({ text, masks }) =>
            masks.map((mask) =>
              [
                text,
                formatTable([
                  ["token", "probability"],
                  ...mask.map(({ token, probability }) => [token, probability.toFixed(4)]),
                ]),
              ].join("\n"),
            ),
          )
          .join("\n\n"),
      );
    });
}
