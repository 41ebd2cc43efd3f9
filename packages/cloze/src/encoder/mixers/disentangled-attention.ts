// Disentangled attention (DeBERTa, arXiv 2006.03654): scores of contents, and of contents with relative places.
import { add, concat, dropout, matmul, mul, permute, slice, type Tensor, take, tensor, zeros } from "@cloze/tensor";
import { z } from "zod";
import { applyNorm, normSpecs } from "../norm.js";
import { type OnnxValue, onnxNorm } from "../onnx.js";
import { defineSlot, type MatrixSpec, type ParameterSpec } from "../part.js";
import { weightSchema } from "../weights/index.js";
import { onnxAttention, onnxDistanceRows } from "./attention-onnx.js";
import { innerSize } from "./attention-size.js";
import {
  type AttendedSequence,
  attendComposed,
  attendedSequences,
  headsOf,
  splitColumns,
} from "./composed-attention.js";
import { relativeShift } from "./relative-shift.js";

const rate = z.number().min(0).lt(1);
const schema = z.strictObject({
  type: z.literal("disentangled-attention"),
  heads: z.int().min(1),
  /** Default: hiddenSize / heads. */
  headSize: z.int().min(1).optional(),
  /** Share of the attention probabilities to drop in training. */
  dropout: rate.default(0.1),
  /** The longest distance that is told apart. */
  maxDistance: z.int().min(1),
  /** Far distances share a place, on a logarithmic scale of so many buckets to each side; 0: they do not. */
  buckets: z
    .int()
    .min(0)
    .refine((count) => count !== 1, "1 bucket has no sides")
    .default(0),
  /** What a token holds, with the distance to the other. */
  contentToPosition: z.boolean().default(true),
  /** What the other holds, with the distance from it. */
  positionToContent: z.boolean().default(true),
  /** What the size of a head is multiplied by in the scale. Default: the kinds of scores that there are, 1 to 3. */
  scaleFactor: z.number().positive().optional(),
  /** Distances go through the matrices of contents (DeBERTa 3) instead of matrices of their own. */
  shareMatrices: z.boolean().default(false),
  /** The key of a distance has a bias, where it has a matrix of its own. */
  positionKeyBias: z.boolean().default(true),
  /** A norm over the table of distances. */
  normalizeDistances: z.boolean().default(false),
  /** Of the table of distances, in training. */
  distanceDropout: rate.default(0.1),
  /** "all": queries, keys and values; "query-value": keys have none (DeBERTa 1). */
  bias: z.enum(["all", "query-value"]).default("all"),
  weights: z
    .strictObject({
      queryKeyValue: weightSchema.optional(),
      output: weightSchema.optional(),
      positionKey: weightSchema.optional(),
      positionQuery: weightSchema.optional(),
    })
    .optional(),
});
type Config = z.output<typeof schema>;

/** The place of a distance among the buckets (DeBERTa 3): exact when near, logarithmic when far. */
export function bucketOf(distance: number, buckets: number, maxDistance: number): number {
  const middle = Math.floor(buckets / 2);
  const far = Math.abs(distance);
  if (buckets === 0 || far <= middle) return distance;
  // No distance is meant to come here where all that are told apart are near.
  if (maxDistance - 1 <= middle) return Math.sign(distance) * buckets;
  const step = Math.fround(
    Math.fround(
      Math.fround(Math.log(Math.fround(far / middle))) / Math.fround(Math.log(Math.fround((maxDistance - 1) / middle))),
    ) *
      (middle - 1),
  );
  return Math.sign(distance) * (Math.ceil(step) + middle);
}

/** Rows on each side of the table of distances. */
const spanOf = ({ buckets, maxDistance }: Config): number => (buckets > 0 ? buckets : maxDistance);

/** The row of the table for each distance (query minus key) from -(length - 1) to length - 1. */
function distanceRows(length: number, config: Config): Int32Array {
  const span = spanOf(config);
  return Int32Array.from({ length: 2 * length - 1 }, (_, i) => {
    const place = bucketOf(i - (length - 1), config.buckets, config.maxDistance) + span;
    return Math.max(0, Math.min(2 * span - 1, place));
  });
}

/** What distances are multiplied with, from -(longest - 1) to longest - 1, ascending. Each [heads, 2 longest - 1, size] */
interface Distances {
  readonly longest: number;
  /** Of the distance from query to key, key minus query. */
  readonly keys: Tensor | undefined;
  /** Of the distance from key to query, query minus key. */
  readonly queries: Tensor | undefined;
}

/** What distances add to the scores of one sequence, unscaled. q, k: [tokens, inner] -> [heads, length, length] */
function distanceScores(
  q: Tensor,
  k: Tensor,
  { longest, keys, queries }: Distances,
  { start, end, length }: AttendedSequence,
  heads: number,
) {
  const scores: Tensor[] = [];
  // A shorter sequence takes what lies in the middle.
  const near = (table: Tensor): Tensor =>
    permute(slice(table, [{}, { start: longest - length, end: longest + length - 1 }]), [0, 2, 1]);
  if (keys !== undefined) {
    scores.push(relativeShift(matmul(headsOf(q, heads, start, end), near(keys))));
  }
  if (queries !== undefined) {
    const byKey = relativeShift(matmul(headsOf(k, heads, start, end), near(queries))); // rows are keys here
    scores.push(permute(byKey, [0, 2, 1]));
  }
  return scores.length === 0 ? undefined : scores.reduce(add);
}

/** 1 for pairs that are both seen: what is masked does not train. [length, length] */
function seenPairs({ length, seen }: AttendedSequence): Tensor {
  const pairs = Float32Array.from({ length: length * length }, (_, at) =>
    Number(at % length < seen && Math.floor(at / length) < seen),
  );
  return tensor(pairs, [length, length]);
}

function matricesOf(config: Config, hiddenSize: number, inner: number): MatrixSpec[] {
  const own = (name: string, bias: boolean): MatrixSpec => ({ name, outputs: inner, inputs: hiddenSize, bias });
  return [
    { name: "queryKeyValue", outputs: 3 * inner, inputs: hiddenSize, bias: config.bias === "all" },
    { name: "output", outputs: hiddenSize, inputs: inner, bias: true, residual: true },
    ...(config.contentToPosition && !config.shareMatrices ? [own("positionKey", config.positionKeyBias)] : []),
    ...(config.positionToContent && !config.shareMatrices ? [own("positionQuery", true)] : []),
  ];
}

/** Disentangled attention inside each sequence; the table of distances is one for all layers. */
export const disentangledAttention = defineSlot({
  schema,
  bind(config, hiddenSize, encoder) {
    const { heads, contentToPosition, positionToContent, shareMatrices } = config;
    const inner = innerSize("disentangled-attention", heads, config.headSize, hiddenSize);
    const relative = contentToPosition || positionToContent;
    const shared: ParameterSpec[] = relative
      ? [
          { name: "distances.weight", shape: [2 * spanOf(config), hiddenSize], initial: "normal" },
          ...(config.normalizeDistances ? normSpecs("distancesNorm", hiddenSize, encoder) : []),
        ]
      : [];
    const vectors: ParameterSpec[] =
      config.bias === "all"
        ? []
        : ["queryBias", "valueBias"].map((name) => ({ name, shape: [inner], initial: "zeros" as const }));
    return {
      matrices: matricesOf(config, hiddenSize, inner),
      vectors,
      shared,
      flops: (length) => (4 + 2 * Number(contentToPosition) + 2 * Number(positionToContent)) * length * length * inner,
      forward(x, access, { batch, training, seed }) {
        const { linear, parameter, shared: sharedParameter } = access;
        let [q, k, v] = splitColumns(linear("queryKeyValue", x), 3);
        if (config.bias === "query-value") {
          q = add(q, parameter("queryBias"));
          v = add(v, parameter("valueBias"));
        }
        const kinds = 1 + Number(contentToPosition) + Number(positionToContent);
        const scale = 1 / Math.sqrt((inner / heads) * (config.scaleFactor ?? kinds));
        const longest = attendedSequences(batch).reduce((most, { length }) => Math.max(most, length), 0);
        const distances = (): Distances => {
          // Only the rows that some pair needs. Rows ascend with query minus key.
          const rows = distanceRows(longest, config);
          const [first, last] = [rows[0], rows[rows.length - 1]];
          const byHead = (x: Tensor, places: Int32Array): Tensor => {
            const chosen = take(x, tensor(places.map((row) => row - first)));
            return headsOf(chosen, heads, 0, places.length);
          };
          const byPlace = (keys: Tensor | undefined, queries: Tensor | undefined): Distances => ({
            longest,
            keys: keys && byHead(keys, rows.slice().reverse()),
            queries: queries && byHead(queries, rows),
          });
          let table = slice(sharedParameter("distances.weight"), [{ start: first, end: last + 1 }]);
          if (config.normalizeDistances)
            table = applyNorm(table, (part) => sharedParameter(`distancesNorm.${part}`), encoder);
          if (training) table = dropout(table, config.distanceDropout, seed("distances"));
          if (shareMatrices) {
            const [queries, keys] = splitColumns(linear("queryKeyValue", table), 3);
            return byPlace(contentToPosition ? keys : undefined, positionToContent ? queries : undefined);
          }
          return byPlace(
            contentToPosition ? linear("positionKey", table) : undefined,
            positionToContent ? linear("positionQuery", table) : undefined,
          );
        };
        const known: Distances =
          relative && longest > 0 ? distances() : { longest, keys: undefined, queries: undefined };
        const mixed = attendComposed(q, k, v, batch, {
          heads,
          scale,
          dropout: training ? config.dropout : 0,
          seed: seed("attention"),
          adjust(scores, sequence) {
            const added = distanceScores(q, k, known, sequence, heads);
            const all = added === undefined ? scores : add(scores, mul(added, scale));
            return batch.visible === undefined ? all : mul(all, seenPairs(sequence));
          },
          // Padding that is not seen looks at nothing, so at everything alike.
          mask: batch.visible === undefined ? undefined : (i, j, { seen }) => i >= seen || j >= seen,
        });
        return linear("output", mixed);
      },
      plan(x, { linear, parameter, shared: sharedParameter, fixed, builder }) {
        const span = encoder.maxPositions;
        let qkv = linear("queryKeyValue", x);
        if (config.bias === "query-value") {
          const [query, value] = ["queryBias", "valueBias"].map(parameter);
          qkv = builder.addVector(qkv, concat([query, zeros([inner]), value], 0));
        }
        const kinds = 1 + Number(contentToPosition) + Number(positionToContent);
        const scale = 1 / Math.sqrt((inner / heads) * (config.scaleFactor ?? kinds));
        if (!relative) return linear("output", builder.attention(qkv, { heads, scale }));
        // By key minus query, ascending; rows of the table ascend with query minus key.
        let table = take(sharedParameter("distances.weight"), tensor(distanceRows(span, config).reverse()));
        if (config.normalizeDistances)
          table = applyNorm(table, (part) => sharedParameter(`distancesNorm.${part}`), encoder);
        const [queries, keys] = shareMatrices
          ? splitColumns(fixed("queryKeyValue", table), 3)
          : [
              positionToContent ? fixed("positionQuery", table) : undefined,
              contentToPosition ? fixed("positionKey", table) : undefined,
            ];
        const mixed = builder.relativeAttention(qkv, {
          heads,
          scale,
          span,
          keys: contentToPosition ? keys : undefined,
          queries: positionToContent ? queries : undefined,
        });
        return linear("output", mixed);
      },
      onnx(x, { linear, parameter, shared: sharedParameter, graph }) {
        const size = inner / heads;
        let qkv = linear("queryKeyValue", x);
        if (config.bias === "query-value") {
          const [query, value] = ["queryBias", "valueBias"].map((name) => graph.parameter(parameter(name)));
          const none = graph.floats(new Float32Array(inner), [inner]);
          qkv = graph.node("Add", [qkv, graph.node("Concat", [query, none, value], { axis: 0 })]);
        }
        const kinds = 1 + Number(contentToPosition) + Number(positionToContent);
        const scale = 1 / Math.sqrt(size * (config.scaleFactor ?? kinds));
        const options = { heads, size, scale, causal: false, window: 0 };
        if (!relative) return linear("output", onnxAttention(qkv, options, graph));
        const table = graph.once(`table of distances ${config.normalizeDistances}`, () => {
          const rows = graph.parameter(sharedParameter("distances.weight"));
          if (!config.normalizeDistances) return rows;
          return onnxNorm(rows, (part) => sharedParameter(`distancesNorm.${part}`), encoder, graph);
        });
        const [queries, keys] = shareMatrices
          ? graph.split(linear("queryKeyValue", table), [inner, inner, inner], 1)
          : [
              positionToContent ? linear("positionQuery", table) : undefined,
              contentToPosition ? linear("positionKey", table) : undefined,
            ];
        /** Rows of distances by heads. [heads, rows, size] or [heads, size, rows] */
        const byHead = (rows: OnnxValue, perm: readonly number[]): OnnxValue =>
          graph.node("Transpose", [graph.node("Reshape", [rows, graph.integers([0, heads, size])])], { perm });
        const mixed = onnxAttention(
          qkv,
          {
            ...options,
            added(q, k) {
              // Layers share what is made of the same places alone.
              const places = `rows of distances ${config.buckets} ${config.maxDistance}`;
              const pairs = graph.once(places, () =>
                onnxDistanceRows(distanceRows(encoder.maxPositions, config), graph),
              );
              // [batch, heads, sequence, sequence]
              const index = graph.once(`${places} ${heads}`, () => {
                const scores = graph.node("Gather", [graph.node("Shape", [q]), graph.integers([0, 1, 2, 2])], {
                  axis: 0,
                });
                return graph.node("Expand", [pairs, scores]);
              });
              const chosen = (scores: OnnxValue, axis: number): OnnxValue =>
                graph.node("GatherElements", [scores, index], { axis });
              return [
                ...(contentToPosition && keys ? [chosen(graph.node("MatMul", [q, byHead(keys, [1, 2, 0])]), 3)] : []),
                ...(positionToContent && queries
                  ? [chosen(graph.node("MatMul", [byHead(queries, [1, 0, 2]), k]), 2)]
                  : []),
              ];
            },
          },
          graph,
        );
        return linear("output", mixed);
      },
    };
  },
});
