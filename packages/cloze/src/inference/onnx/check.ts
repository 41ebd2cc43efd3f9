// Holding an exported model against Cloze's own result, with ONNX Runtime.
import { createRequire } from "node:module";
import { join } from "node:path";
import { noGrad, scope, type Tensor } from "@cloze/tensor";
import { type PaddedBatch, padBatch } from "../../data/packed-batch.js";
import type { EncoderBatch } from "../../encoder/batch.js";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/index.js";
import { poolTokens } from "../../heads/head.js";
import type { ExportOnnxOptions, OnnxExport } from "./export.js";

interface RuntimeTensor {
  readonly data: Float32Array;
}

/** As much of onnxruntime-node as is used; it is no dependency. */
export interface OnnxRuntime {
  readonly InferenceSession: {
    create(path: string): Promise<{
      run(feeds: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, RuntimeTensor>>>;
      release(): Promise<void>;
    }>;
  };
  readonly Tensor: new (
    ...given:
      | [type: "int64", data: BigInt64Array, shape: readonly number[]]
      | [type: "float32", data: Float32Array, shape: readonly number[]]
  ) => unknown;
}

/**
 * onnxruntime-node as it is installed for a folder, for the working directory, or beside Cloze; undefined where it is not,
 * or does not run on this machine.
 */
export function findOnnxRuntime(folder?: string): OnnxRuntime | undefined {
  for (const from of [...(folder === undefined ? [] : [folder]), process.cwd(), import.meta.dirname]) {
    try {
      return createRequire(join(from, "package.json"))("onnxruntime-node") as OnnxRuntime;
    } catch {
      // The next place.
    }
  }
  return undefined;
}

/** How close two results are. */
export interface OnnxCheck {
  /** Over all numbers of all outputs. */
  readonly largestDifference: number;
  /** Largest number of Cloze's result, to compare it with. */
  readonly scale: number;
  /** The least cosine between two vectors: of a token or sequence, over all outputs that have vectors. */
  readonly leastCosine: number;
  /** The cosine between all numbers, one output at a time; the least. */
  readonly cosine: number;
}

/** Cloze's own outputs by the names of the export; tokens stay packed. */
function ownOutputs(model: Model, batch: EncoderBatch, { output = "hidden", pooling = "mean" }: ExportOnnxOptions) {
  if (output !== "logits") {
    const { hidden } = model.encoder.forward(batch);
    if (output === "hidden") return new Map([["last_hidden_state", hidden]]);
    return new Map([["sentence_embedding", poolTokens(hidden, batch, pooling)]]);
  }
  const { hidden, logits, pooled, startLogits, endLogits } = model.forward(batch);
  const named: readonly (readonly [string, Tensor | undefined])[] = [
    ["last_hidden_state", hidden],
    ["pooler_output", pooled],
    ["logits", logits],
    ["start_logits", startLogits],
    ["end_logits", endLogits],
  ];
  return new Map(named.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])));
}

const cosineOf = (a: Float32Array, b: Float32Array): number => {
  let [product, left, right] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i] * b[i];
    left += a[i] ** 2;
    right += b[i] ** 2;
  }
  return left === 0 && right === 0 ? 1 : product / Math.sqrt(left * right);
};

/** The rows of padded numbers that belong to tokens. numbers: [sequences, length, …] */
function withoutPadding(numbers: Float32Array, batch: EncoderBatch, length: number): Float32Array {
  const { offsets } = batch;
  const sequences = offsets.length - 1;
  const width = numbers.length / (sequences * length);
  const rows = new Float32Array(offsets[sequences] * width);
  for (let s = 0; s < sequences; s++) {
    const from = s * length * width;
    rows.set(numbers.subarray(from, from + (offsets[s + 1] - offsets[s]) * width), offsets[s] * width);
  }
  return rows;
}

/** What Cloze gives: numbers with their rows and the numbers of each. */
function runOurs(model: Model, batch: EncoderBatch, options: ExportOnnxOptions) {
  return scope(() =>
    noGrad(() => {
      const outputs = [...ownOutputs(model, batch, options)];
      return new Map(
        outputs.map(([name, value]) => {
          const [rows, width = 1] = value.shape;
          return [name, { rows, width, numbers: value.toTypedArray() as Float32Array }] as const;
        }),
      );
    }),
  );
}

/** What ONNX Runtime gives. @throws ONNX_CHECK_FAILED */
async function runTheirs(
  { path, inputs, imageShape }: OnnxExport,
  padded: PaddedBatch,
  pixels: Float32Array | undefined,
  runtime: OnnxRuntime,
) {
  const values: Readonly<Record<string, Int32Array>> = {
    input_ids: padded.ids,
    attention_mask: padded.attentionMask,
    token_type_ids: padded.segments,
  };
  const feed = (name: string) =>
    imageShape !== undefined && pixels !== undefined
      ? new runtime.Tensor("float32", pixels, [padded.sequences, ...imageShape])
      : new runtime.Tensor("int64", BigInt64Array.from(values[name], BigInt), [padded.sequences, padded.length]);
  try {
    const session = await runtime.InferenceSession.create(path);
    const outputs = await session.run(Object.fromEntries(inputs.map((name) => [name, feed(name)])));
    await session.release();
    return outputs;
  } catch (cause) {
    throw new ClozeError("ONNX_CHECK_FAILED", `ONNX Runtime does not run ${path}`, {
      received: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

const largestOf = (numbers: Float32Array): number =>
  // NaN stays NaN.
  numbers.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);

/**
 * Runs a batch through an exported model, padded, and through Cloze, packed.
 *
 * @param options those of the export
 * @throws ONNX_CHECK_FAILED where ONNX Runtime does not take the file, or gives outputs of other sizes; what
 * `Model.forward` throws
 */
export async function checkOnnx(
  model: Model,
  written: OnnxExport,
  batch: EncoderBatch,
  options: ExportOnnxOptions,
  runtime: OnnxRuntime,
): Promise<OnnxCheck> {
  const padded = padBatch(batch, model.config.padId ?? 0);
  const ours = runOurs(model, batch, options);
  const theirs = await runTheirs(written, padded, batch.values, runtime);
  const checks = written.outputs.map((name): OnnxCheck => {
    const own = ours.get(name);
    const other = theirs[name]?.data;
    if (own === undefined || other === undefined) {
      throw new ClozeError("ONNX_CHECK_FAILED", `There is nothing to compare the output ${name} with`);
    }
    const { rows, width, numbers: a } = own;
    const perToken = rows === batch.ids.length && other.length !== a.length;
    const b = perToken ? withoutPadding(other, batch, padded.length) : other;
    if (a.length !== b.length) {
      throw new ClozeError("ONNX_CHECK_FAILED", `The output ${name} has another size`, {
        expected: String(a.length),
        received: String(b.length),
      });
    }
    const cosines = Array.from({ length: width < 2 ? 0 : rows }, (_, row) => {
      const range = [row * width, (row + 1) * width] as const;
      return cosineOf(a.subarray(...range), b.subarray(...range));
    });
    return {
      largestDifference: largestOf(a.map((x, i) => x - b[i])),
      scale: largestOf(a),
      leastCosine: Math.min(1, ...cosines),
      cosine: cosineOf(a, b),
    };
  });
  return {
    largestDifference: Math.max(...checks.map(({ largestDifference }) => largestDifference)),
    scale: Math.max(...checks.map(({ scale }) => scale)),
    leastCosine: Math.min(...checks.map((check) => check.leastCosine)),
    cosine: Math.min(...checks.map(({ cosine }) => cosine)),
  };
}
