// A model as ONNX files in a folder as transformers.js reads it.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import { type Model, saveConfig } from "../../families/index.js";
import { type OnnxOutputs, onnxPooling } from "../../heads/head-onnx.js";
import { createGraph, type ValueInfo, type WritableGraph } from "./graph.js";
import { modelFile, opsets } from "./model-file.js";
import { encode } from "./protobuf.js";

export interface ExportOnnxOptions {
  /**
   * "hidden": `last_hidden_state` [batch, sequence, hidden]; "pooled": `sentence_embedding` [batch, hidden] by `pooling`;
   * "logits": what the head makes of it, by the names of transformers: `logits`, `start_logits` and `end_logits`,
   * `last_hidden_state` and `pooler_output`. Default "hidden".
   */
  output?: "hidden" | "pooled" | "logits";
  /** For "pooled". Default "mean". */
  pooling?: "first" | "mean";
  /**
   * "int8": matrices as 8-bit codes with a scale for each output, what they are multiplied with as 8-bit codes with a scale
   * for each token, found at each run (MatMulInteger), tables of embeddings as codes with a scale for each row; heads stay float32, but for decoders over
   * the vocabulary. The file is then `model_quantized.onnx`. Default: float32, in `model.onnx`.
   */
  quantize?: "int8";
  /** Set of operators, 17 to 21. Default 17. */
  opset?: number;
  /** Above so many bytes, weights go to a file beside (`model.onnx_data`). Default: 2 GiB, where the format ends. */
  largestBytes?: number;
}

/** As transformers.js calls them. */
const modelFiles = ["model.onnx", "model_quantized.onnx"] as const;

/** What was written. */
export interface OnnxExport {
  /** The model's file. */
  readonly path: string;
  /** The file of its weights, where they stand apart. */
  readonly dataPath?: string;
  /** Of both. */
  readonly bytes: number;
  readonly inputs: readonly string[];
  /** Channels, height and width, where the model reads images. */
  readonly imageShape?: readonly number[];
  readonly outputs: readonly string[];
}

function outputsOf(model: Model, graph: WritableGraph, { output = "hidden", pooling = "mean" }: ExportOnnxOptions) {
  const value = model.encoder.onnx(graph);
  const width = model.config.hiddenSize;
  const kinds: Readonly<Record<NonNullable<ExportOnnxOptions["output"]>, () => OnnxOutputs>> = {
    hidden: () => ({ last_hidden_state: { value, per: "token", width } }),
    pooled: () => ({ sentence_embedding: { value: onnxPooling(value, pooling, graph), per: "sequence", width } }),
    logits: () => model.head.onnx(value, graph),
  };
  return kinds[output]();
}

function checkOpset(opset: number): void {
  if (Number.isInteger(opset) && opset >= opsets.from && opset <= opsets.to) return;
  throw new ClozeError("OPTION_INVALID", "The ONNX export writes no such set of operators", {
    expected: `opset ${opsets.from} to ${opsets.to}`,
    received: String(opset),
  });
}

/**
 * Writes a model as `onnx/model.onnx` (int8: `onnx/model_quantized.onnx`) below a folder, with config.json beside it. Inputs
 * are `input_ids`, `attention_mask` and, where the model tells segments apart, `token_type_ids`: int64 [batch, sequence], padded on
 * the right (models whose positions do not count padding also on the left); or `pixel_values` [batch, channels, height, width],
 * normalised. Each file appears whole or not at all.
 *
 * @throws ONNX_UNSUPPORTED naming the part that the export does not know; OPTION_INVALID, FILE_WRITE, DISK_FULL
 * @example
 * exportOnnx(loadModel("models/mine"), "exported", { output: "pooled", quantize: "int8" });
 */
export function exportOnnx(model: Model, folder: string, options: ExportOnnxOptions = {}): OnnxExport {
  const { quantize, opset = opsets.from, largestBytes = 2 ** 31 - 1 } = options;
  checkOpset(opset);
  const names = new Map([...model.parameters].map(([name, tensor]) => [tensor, name] as const));
  const graph = createGraph({ opset, quantize, names });
  const outputs = Object.entries(outputsOf(model, graph, options)).map(([name, { value, per, width }]): ValueInfo => {
    graph.output(value, name);
    const rows = per === "token" ? ["batch_size", graph.wholeLength ?? "sequence_length"] : ["batch_size"];
    return { name, type: "float32", shape: width === undefined ? rows : [...rows, width] };
  });
  const file = modelFiles[quantize === "int8" ? 1 : 0];
  const { model: content, outside } = modelFile(graph, outputs, { outsideFile: `${file}_data`, largestBytes });
  const path = join(folder, "onnx", file);
  const dataPath = `${path}_data`;
  try {
    mkdirSync(join(folder, "onnx"), { recursive: true });
  } catch (cause) {
    throw new ClozeError("FILE_WRITE", `The folder ${join(folder, "onnx")} could not be made`, { cause });
  }
  // The weights first: a model whose file is there can be opened.
  if (outside !== undefined) writeFileAtomic(dataPath, outside.read());
  writeFileAtomic(path, encode(content));
  if (outside === undefined) rmSync(dataPath, { force: true });
  const apart = modelFiles.filter((name) => existsSync(join(folder, "onnx", `${name}_data`)));
  saveConfig(
    model,
    folder,
    apart.length === 0
      ? {}
      : { "transformers.js_config": { use_external_data_format: Object.fromEntries(apart.map((name) => [name, 1])) } },
  );
  return {
    path,
    ...(outside === undefined ? {} : { dataPath }),
    bytes: content.bytes + (outside?.bytes ?? 0),
    inputs: graph.inputs.map(({ name }) => name),
    ...(graph.wholeLength === undefined ? {} : { imageShape: graph.inputs[0].shape.slice(1) as number[] }),
    outputs: outputs.map(({ name }) => name),
  };
}
