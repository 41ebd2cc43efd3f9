import { copyFileSync, existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { ClozeError } from "../errors.js";
import { loadModel } from "../families/index.js";
import { checkOnnx, findOnnxRuntime, type OnnxCheck } from "../inference/onnx/check.js";
import { type ExportOnnxOptions, exportOnnx, type OnnxExport } from "../inference/onnx/export.js";
import { formatBytes } from "../training/progress.js";
import { wholeNumber } from "./arguments.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, printResult, progressFor } from "./output.js";
import { exportTexts, sampleBatch } from "./sample-texts.js";

interface ExportOptions extends CommonOptions {
  model: string;
  out: string;
  output: NonNullable<ExportOnnxOptions["output"]>;
  pooling: NonNullable<ExportOnnxOptions["pooling"]>;
  quantize?: "int8";
  opset: number;
  check?: boolean;
}

/** Files of a tokenizer, and of how pixels are normalised, as libraries that read the exported model look for them. */
const tokenizerFiles = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "vocab.txt",
  "merges.txt",
  "preprocessor_config.json",
];

/** Largest difference of float32 results, as a share of the largest number; least cosine of int8 results. */
const largestShare = 1e-4;
const leastCosine = 0.99;

function judge({ largestDifference, scale, cosine }: OnnxCheck, { quantize, output }: ExportOptions): void {
  const good = quantize === "int8" ? cosine >= leastCosine : largestDifference <= largestShare * scale;
  if (good) return;
  throw new ClozeError("ONNX_CHECK_FAILED", "ONNX Runtime computes something else than Cloze", {
    expected:
      quantize === "int8" ? `a cosine of at least ${leastCosine}` : `a difference of at most ${largestShare * scale}`,
    received: quantize === "int8" ? cosine.toFixed(4) : String(largestDifference),
    remedy:
      quantize === "int8"
        ? `This model loses much to 8 bits; export it in float32${output === "hidden" ? ", or pooled" : ""}.`
        : "Please report this, with the model's config.json.",
  });
}

const checkText = ({ largestDifference, scale, cosine, leastCosine: least }: OnnxCheck): string =>
  `ONNX Runtime against Cloze, ${exportTexts.length} inputs: largest difference ${largestDifference.toExponential(1)} ` +
  `(numbers up to ${scale.toPrecision(3)}), cosine ${cosine.toFixed(6)}, of single vectors at least ${least.toFixed(6)}`;

const writtenText = ({ path, dataPath, bytes, inputs, outputs }: OnnxExport): string =>
  `${path}${dataPath === undefined ? "" : ` and ${dataPath}`}: ${formatBytes(bytes)}\n` +
  `${inputs.join(", ")} -> ${outputs.join(", ")}`;

/** `cloze export` */
export function addExport(program: Command): void {
  program
    .command("export")
    .description("write a model as ONNX, for ONNX Runtime and transformers.js")
    .requiredOption(`--model ${modelArgument}`, "the model")
    .requiredOption(
      "--out <folder>",
      "gets onnx/model.onnx (int8: onnx/model_quantized.onnx), config.json, tokenizer files",
    )
    .addOption(
      new Option("--output <what>", "hidden states, one vector a text, or what the model's head gives")
        .choices(["hidden", "pooled", "logits"])
        .default("hidden"),
    )
    .addOption(new Option("--pooling <how>", "for pooled").choices(["mean", "first"]).default("mean"))
    .addOption(new Option("--quantize <how>", "8-bit codes for matrices and tables").choices(["int8"]))
    .option("--opset <version>", "set of operators, 17 to 21", wholeNumber(), 17)
    .option(
      "--check",
      "run three texts (or images) through ONNX Runtime (onnxruntime-node, where it is installed) and compare",
    )
    .action(async (options: ExportOptions) => {
      const folder = await modelFolder(options.model, options);
      const model = loadModel(folder);
      const { output, pooling, quantize, opset } = options;
      const settings: ExportOnnxOptions = { output, pooling, quantize, opset };
      const written = exportOnnx(model, options.out, settings);
      if (resolve(folder) !== resolve(options.out)) {
        for (const name of tokenizerFiles) {
          if (existsSync(join(folder, name))) copyFileSync(join(folder, name), join(options.out, name));
        }
      }
      const progress = progressFor(options);
      const runtime = options.check === true ? findOnnxRuntime() : undefined;
      if (options.check === true && runtime === undefined) {
        progress.note("not checked: onnxruntime-node is not installed here (npm install onnxruntime-node)");
      }
      const check =
        runtime === undefined
          ? undefined
          : await checkOnnx(model, written, sampleBatch(folder, model), settings, runtime);
      model.dispose();
      printResult(options, { ...written, check }, () =>
        [writtenText(written), ...(check === undefined ? [] : [checkText(check)])].join("\n"),
      );
      if (check !== undefined) judge(check, options);
    });
}
