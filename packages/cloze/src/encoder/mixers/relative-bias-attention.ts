// Attention with a learned number for each bucket of distances (T5, arXiv 1910.10683; MPNet, arXiv 2004.09297).
import {
  add,
  contiguous,
  mul,
  type PlanValue,
  permute,
  reshape,
  slice,
  type Tensor,
  take,
  tensor,
} from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import type { OnnxAccess, OnnxValue } from "../onnx.js";
import { defineSlot, type PlanAccess } from "../part.js";
import { weightSchema } from "../weights/index.js";
import { onnxAttention, onnxDistanceRows } from "./attention-onnx.js";
import { innerSize } from "./attention-size.js";
import { attendComposed, splitColumns } from "./composed-attention.js";

const schema = z.strictObject({
  type: z.literal("relative-bias-attention"),
  heads: z.int().min(1),
  /** Default: hiddenSize / heads. */
  headSize: z.int().min(1).optional(),
  /** Share of the attention probabilities to drop in training. */
  dropout: z.number().min(0).lt(1).default(0.1),
  /** Of distances, in both directions together: a quarter of them exact to each side, the rest logarithmic. */
  buckets: z.int().min(4).default(32),
  /** Distances from here on share a bucket. */
  maxDistance: z.int().min(2).default(128),
  /** Of the table, where it has more than there are buckets. */
  rows: z.int().min(4).optional(),
  /**
   * The first token of a sequence ([CLS]) has no distances: as a key it has a number of its own (row `buckets`), as a query
   * that of half of the buckets, which no distance has (ERNIE-Gram, arXiv 2010.12148). Needs a row more than buckets.
   */
  reset: z.boolean().default(false),
  bias: z.boolean().default(true),
  weights: z.strictObject({ queryKeyValue: weightSchema.optional(), output: weightSchema.optional() }).optional(),
});

/** The bucket of a distance (key minus query). */
export function biasBucket(distance: number, buckets: number, maxDistance: number): number {
  const half = Math.floor(buckets / 2);
  const exact = Math.floor(half / 2);
  const far = Math.abs(distance);
  const side = distance > 0 ? half : 0;
  if (far < exact) return side + far;
  const logarithmic = Math.fround(
    (Math.fround(Math.log(Math.fround(far / exact))) / Math.log(maxDistance / exact)) * (half - exact),
  );
  return side + Math.min(exact + Math.trunc(logarithmic), half - 1);
}

/**
 * The bucket of a pair of places in a sequence. With `reset`, a key at 0 has the bucket `buckets`, and else a query at 0 has
 * half of them: that of no distance, since keys after a query begin at one above.
 */
export function pairBucket(query: number, key: number, buckets: number, maxDistance: number, reset: boolean): number {
  if (reset && key === 0) return buckets;
  if (reset && query === 0) return Math.floor(buckets / 2);
  return biasBucket(key - query, buckets, maxDistance);
}

/** Multi-head self-attention with a bias by distance that all layers share. */
export const relativeBiasAttention = defineSlot({
  schema,
  bind(config, hiddenSize, { maxPositions }) {
    const { heads, headSize, dropout: rate, buckets, maxDistance, reset, bias } = config;
    const used = buckets + Number(reset);
    const { rows = used } = config;
    if (rows < used || maxDistance <= Math.floor(buckets / 4)) {
      throw new ClozeError("CONFIG_INVALID", "relative-bias-attention: the buckets do not fit", {
        expected: "a row for each bucket, and a maxDistance above a quarter of them",
        received: `buckets ${buckets}, rows ${rows}, maxDistance ${maxDistance}`,
      });
    }
    const inner = innerSize("relative-bias-attention", heads, headSize, hiddenSize);
    const onnx = (x: OnnxValue, { linear, shared, graph }: OnnxAccess): OnnxValue => {
      const size = inner / heads;
      const scale = 1 / Math.sqrt(size);
      const table = shared("distanceBias.weight");
      // What is added is scaled, too. [heads, sequence, sequence]
      const added = graph.once(`distance bias ${buckets} ${maxDistance} ${scale}`, () => {
        const distances = Int32Array.from({ length: 2 * maxPositions - 1 }, (_, i) =>
          biasBucket(maxPositions - 1 - i, buckets, maxDistance),
        );
        const pairs = graph.node("Gather", [graph.parameter(table), onnxDistanceRows(distances, graph)], { axis: 0 });
        return graph.node("Div", [graph.node("Transpose", [pairs], { perm: [2, 0, 1] }), graph.float(scale)]);
      });
      const options = { heads, size, scale, causal: false, window: 0, added: () => [added] };
      return linear("output", onnxAttention(linear("queryKeyValue", x), options, graph));
    };
    const plan = (x: PlanValue, { linear, shared, builder }: PlanAccess): PlanValue => {
      const distances = Int32Array.from({ length: 2 * maxPositions - 1 }, (_, i) =>
        biasBucket(i - maxPositions + 1, buckets, maxDistance),
      );
      const scale = 1 / Math.sqrt(inner / heads);
      // Plans scale what is added, too. [2 maxPositions - 1, heads]
      const table = mul(take(shared("distanceBias.weight"), tensor(distances)), 1 / scale);
      const qkv = linear("queryKeyValue", x);
      return linear("output", builder.relativeAttention(qkv, { heads, scale, bias: table, span: maxPositions }));
    };
    return {
      flops: (length) => 4 * length * length * inner,
      matrices: [
        { name: "queryKeyValue", outputs: 3 * inner, inputs: hiddenSize, bias },
        { name: "output", outputs: hiddenSize, inputs: inner, bias, residual: true },
      ],
      shared: [{ name: "distanceBias.weight", shape: [rows, heads], initial: "normal" }],
      forward(x, { linear, shared }, { batch, training, seed, once }) {
        const [q, k, v] = splitColumns(linear("queryKeyValue", x), 3);
        const longest = batch.offsets.reduce(
          (most, end, s) => Math.max(most, s === 0 ? 0 : end - batch.offsets[s - 1]),
          0,
        );
        const places = once(`distance bias ${buckets} ${maxDistance} ${reset}`, () =>
          Int32Array.from({ length: longest * longest }, (_, at) =>
            pairBucket(Math.floor(at / longest), at % longest, buckets, maxDistance, reset),
          ),
        );
        // The longest sequence's table holds those of the others in its corner. [heads, longest, longest]
        const table: Tensor | undefined =
          longest === 0
            ? undefined
            : contiguous(
                permute(
                  reshape(take(shared("distanceBias.weight"), tensor(places)), [longest, longest, heads]),
                  [2, 0, 1],
                ),
              );
        const mixed = attendComposed(q, k, v, batch, {
          heads,
          dropout: training ? rate : 0,
          seed: seed("attention"),
          adjust: (scores, { length, seen }) =>
            table === undefined ? scores : add(scores, slice(table, [{}, { end: length }, { end: seen }])),
        });
        return linear("output", mixed);
      },
      // Plans and graphs know distances alone.
      ...(reset ? {} : { plan, onnx }),
    };
  },
});
