// Holding an exported model against Cloze's own result, with ONNX Runtime.
import { createRequire } from "node:module";
import { join } from "node:path";
import { noGrad, scope, type Tensor } from "@cloze/tensor";
import { packSequences, padBatch, type Sequence } from "../../data/packed-batch.js";
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
  readonly Tensor: new (type: "int64", data: BigInt64Array, shape: readonly number[]) => unknown;
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
  if (output !== "head") {
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

/**
 * Runs sequences through an exported model, as one padded batch, and through Cloze, packed.
 *
 * @param options those of the export
 * @throws ONNX_CHECK_FAILED where ONNX Runtime does not take the file, or an output is missing
 */
export async function checkOnnx(
  model: Model,
  written: OnnxExport,
  sequences: readonly Sequence[],
  options: ExportOnnxOptions,
  runtime: OnnxRuntime,
): Promise<OnnxCheck> {
  const batch = packSequences(sequences);
  const padded = padBatch(batch, model.config.padId ?? 0);
  const feed = (values: Int32Array) =>
    new runtime.Tensor("int64", BigInt64Array.from(values, BigInt), [padded.sequences, padded.length]);
  const feeds: Readonly<Record<string, Int32Array>> = {
    input_ids: padded.ids,
    attention_mask: padded.attentionMask,
    token_type_ids: padded.segments,
  };
  let theirs: Readonly<Record<string, RuntimeTensor>>;
  try {
    const session = await runtime.InferenceSession.create(written.path);
    theirs = await session.run(Object.fromEntries(written.inputs.map((name) => [name, feed(feeds[name])])));
    await session.release();
  } catch (cause) {
    throw new ClozeError("ONNX_CHECK_FAILED", `ONNX Runtime does not run ${written.path}`, {
      received: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
  return scope(() =>
    noGrad(() => {
      const ours = ownOutputs(model, batch, options);
      let check: OnnxCheck = { largestDifference: 0, scale: 0, leastCosine: 1, cosine: 1 };
      for (const name of written.outputs) {
        const own = ours.get(name);
        if (own === undefined || theirs[name] === undefined) {
          throw new ClozeError("ONNX_CHECK_FAILED", `There is nothing to compare the output ${name} with`, {});
        }
        const a = own.toTypedArray() as Float32Array;
        const perToken = own.shape[0] === batch.ids.length && theirs[name].data.length !== a.length;
        const b = perToken ? withoutPadding(theirs[name].data, batch, padded.length) : theirs[name].data;
        if (a.length !== b.length) {
          throw new ClozeError("ONNX_CHECK_FAILED", `The output ${name} has another size`, {
            expected: String(a.length),
            received: String(b.length),
          });
        }
        const width = own.shape[1] ?? 1;
        const rows = width < 2 ? [] : Array.from({ length: a.length / width }, (_, row) => row * width);
        const cosines = rows.map((at) => cosineOf(a.subarray(at, at + width), b.subarray(at, at + width)));
        const most = (numbers: Float32Array): number => numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        check = {
          // NaN stays NaN.
          largestDifference: Math.max(check.largestDifference, most(a.map((x, i) => x - b[i]))),
          scale: Math.max(check.scale, most(a)),
          leastCosine: Math.min(check.leastCosine, ...cosines),
          cosine: Math.min(check.cosine, cosineOf(a, b)),
        };
      }
      return check;
    }),
  );
}
