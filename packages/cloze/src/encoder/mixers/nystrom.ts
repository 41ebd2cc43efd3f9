// Attention through landmarks, linear in the number of tokens (Nyströmformer, arXiv 2102.03902).
import {
  add,
  concat,
  contiguous,
  div,
  matmul,
  max,
  mul,
  permute,
  planConvolution,
  reshape,
  segmentMean,
  selfAttention,
  softmax,
  sub,
  sum,
  type Tensor,
  tensor,
  transpose,
} from "@cloze/tensor";
import { z } from "zod";
import { defineSlot } from "../part.js";
import { weightSchema } from "../weights/index.js";
import { innerSize } from "./attention-size.js";
import { attendedSequences, attentionProbabilities, headsOf, splitColumns } from "./composed-attention.js";
import { headConvolution } from "./head-convolution.js";
import { oddSchema } from "./token-shifts.js";

const schema = z.strictObject({
  type: z.literal("nystrom"),
  heads: z.int().min(1),
  /** Default: hiddenSize / heads. */
  headSize: z.int().min(1).optional(),
  /** Means of so many segments stand for all queries and keys; null: none do, attention is exact. */
  landmarks: z.int().min(1).nullable().default(64),
  /** Steps towards the pseudo-inverse. */
  iterations: z.int().min(1).default(6),
  /**
   * Where these steps start. "head": each sequence and head has its own 1-norm. "batch": all have the largest one, as in
   * the original, so that a result depends a little on what else is in the batch.
   */
  start: z.enum(["head", "batch"]).default("head"),
  /** A convolution of the values over so many tokens (odd), one kernel for each head, is added; null: none. */
  kernelSize: oddSchema.nullable().default(65),
  weights: z.strictObject({ queryKeyValue: weightSchema.optional(), output: weightSchema.optional() }).optional(),
});

/** Ends of `count` segments of a sequence, of lengths that differ by one at most. [count + 1] */
const segmentEnds = (length: number, count: number): Int32Array =>
  Int32Array.from({ length: count + 1 }, (_, i) => Math.floor((i * length) / count));

/** Means of the segments of a sequence. x: [heads, length, size] -> [heads, count, size] */
function segmentMeans(x: Tensor, count: number): Tensor {
  const [heads, length, size] = x.shape;
  const rows = reshape(contiguous(permute(x, [1, 0, 2])), [length, heads * size]);
  const means = segmentMean(rows, tensor(segmentEnds(length, count)));
  return permute(reshape(means, [count, heads, size]), [1, 0, 2]);
}

/** softmax(a b^T). [heads, rows, size], [heads, columns, size] -> [heads, rows, columns] */
const kernelOf = (a: Tensor, b: Tensor): Tensor => softmax(matmul(a, transpose(b)));

/**
 * Steps of Razavi et al. towards the pseudo-inverse of each matrix, from its transpose over a norm.
 *
 * @param a [heads, n, n]
 * @param norm [heads, 1, 1], or one number
 */
function pseudoInverse(a: Tensor, norm: Tensor, steps: number): Tensor {
  const n = a.shape[2];
  const identity = Float32Array.from({ length: n * n }, (_, at) => Number(at % (n + 1) === 0));
  const diagonal = (value: number): Tensor =>
    tensor(
      Array.from(identity, (one) => one * value),
      [n, n],
      a.dtype,
    );
  const [seven, fifteen, thirteen] = [7, 15, 13].map(diagonal);
  let inverse = div(transpose(a), norm);
  for (let step = 0; step < steps; step++) {
    const product = matmul(a, inverse);
    const inner = sub(fifteen, matmul(product, sub(seven, product)));
    inverse = matmul(mul(inverse, 0.25), sub(thirteen, matmul(product, inner)));
  }
  return inverse;
}

/**
 * softmax(q k'^T) (softmax(q' k'^T))^+ (softmax(q' k^T) v), where q' and k' are landmarks: the means of segments of queries
 * and keys. The segments of a sequence are as equal as its length allows (transformers wants one length, which they divide);
 * sequences that have no more tokens than there are landmarks get exact attention, which is what landmarks for each token
 * come to. Tokens that are not visible are no landmarks, but the convolution sees them, as in transformers.
 */
export const nystrom = defineSlot({
  schema,
  bind({ heads, headSize, landmarks, iterations, start, kernelSize }, hiddenSize) {
    const inner = innerSize("nystrom", heads, headSize, hiddenSize);
    const size = inner / heads;
    const isLong = (tokens: number): boolean => landmarks !== null && tokens > landmarks;

    function attend(qkv: Tensor, batch: Parameters<typeof attendedSequences>[0]): Tensor {
      const [q, k, v] = splitColumns(qkv, 3);
      const scale = size ** -0.25;
      const sequences = attendedSequences(batch).map((sequence) => {
        const { start: from, end, seen } = sequence;
        const [query, key] = [headsOf(q, heads, from, end), headsOf(k, heads, from, from + seen)];
        const value = headsOf(v, heads, from, from + seen);
        if (landmarks === null || !isLong(seen)) return { sequence, query, key, value };
        const [scaledQuery, scaledKey] = [mul(query, scale), mul(key, scale)];
        const seenQuery = seen === end - from ? scaledQuery : mul(headsOf(q, heads, from, from + seen), scale);
        const [queries, keys] = [segmentMeans(seenQuery, landmarks), segmentMeans(scaledKey, landmarks)];
        const middle = kernelOf(queries, keys);
        const norms = max(sum(middle, [1]), [1]); // [heads]
        return { sequence, query: scaledQuery, key: scaledKey, value, middle, norms, queries, keys };
      });
      const all = sequences.flatMap(({ norms }) => (norms === undefined ? [] : [norms]));
      const largest = start === "batch" && all.length > 0 ? max(concat(all, 0), [0]) : undefined;
      const parts = sequences.map(({ sequence, query, key, value, middle, norms, queries, keys }) => {
        let mixed: Tensor;
        if (middle === undefined) mixed = matmul(attentionProbabilities(query, key, sequence, { heads }), value);
        else {
          const inverse = pseudoInverse(middle, largest ?? reshape(norms, [heads, 1, 1]), iterations);
          mixed = matmul(matmul(kernelOf(query, keys), inverse), matmul(kernelOf(queries, key), value));
        }
        return reshape(contiguous(permute(mixed, [1, 0, 2])), [sequence.length, inner]);
      });
      return parts.length === 0 ? mul(contiguous(v), 0) : concat(parts, 0);
    }

    return {
      matrices: [
        { name: "queryKeyValue", outputs: 3 * inner, inputs: hiddenSize, bias: true },
        { name: "output", outputs: hiddenSize, inputs: inner, bias: true, residual: true },
      ],
      vectors: kernelSize === null ? [] : [{ name: "kernels", shape: [heads, kernelSize], initial: "normal" }],
      forward(x, { linear, parameter }, context) {
        const { batch, offsets } = context;
        const qkv = linear("queryKeyValue", x);
        const exact =
          batch.visible === undefined && !batch.offsets.some((end, s) => s > 0 && isLong(end - batch.offsets[s - 1]));
        const attended = exact ? selfAttention(qkv, offsets, { heads }) : attend(qkv, batch);
        if (kernelSize === null) return linear("output", attended);
        const values = contiguous(splitColumns(qkv, 3)[2]);
        return linear("output", add(attended, headConvolution(values, parameter("kernels"), context)));
      },
      // Attention is exact where there are no more tokens than landmarks; the engine computes the others.
      plan(x, { linear, parameter, builder }) {
        if (landmarks !== null) builder.limit(landmarks);
        const qkv = linear("queryKeyValue", x);
        const attended = builder.attention(qkv, { heads });
        if (kernelSize === null) return linear("output", attended);
        const weights = { ofHeads: parameter("kernels") };
        const values = planConvolution({ of: qkv, from: 2 * inner }, { taps: kernelSize, weights }, builder);
        return linear("output", builder.add(attended, values));
      },
    };
  },
});
