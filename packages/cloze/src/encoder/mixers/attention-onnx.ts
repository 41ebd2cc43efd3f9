// Attention as an ONNX graph: padded, with a mask that is added to the scores.
import type { OnnxGraph, OnnxValue } from "../onnx.js";
import { onnxPlaces } from "../onnx.js";
import { type RotaryAngles, rotaryAngles } from "./rotary-positions.js";

/** Far below any score; finite, so that a row of padding that sees nothing has no NaN. */
const hidden = -3.4028234663852886e38;

/** Query minus key. int64 [sequence, sequence] */
const onnxDistances = (graph: OnnxGraph): OnnxValue =>
  graph.once("distances", () => {
    const places = onnxPlaces(graph);
    const [rows, columns] = [1, 0].map((axis) => graph.node("Unsqueeze", [places, graph.integers([axis])]));
    return graph.node("Sub", [rows, columns]);
  });

/**
 * The row of a table for each pair of tokens. int64 [sequence, sequence]
 *
 * @param rows for each distance (query minus key), from -(longest - 1) to longest - 1
 */
export const onnxDistanceRows = (rows: Int32Array, graph: OnnxGraph): OnnxValue => {
  const from = graph.node("Add", [onnxDistances(graph), graph.integers((rows.length - 1) / 2)]);
  return graph.node("Gather", [graph.integers(Array.from(rows)), from], { axis: 0 });
};

interface MaskOptions {
  readonly causal: boolean;
  readonly window: number;
}

/** What is added to scores: 0 where a key is seen. [batch, 1, 1 or sequence, sequence] */
function scoreMask({ causal, window }: MaskOptions, graph: OnnxGraph): OnnxValue | undefined {
  const padded = graph.wholeLength === undefined;
  if (!padded && !causal && window === 0) return undefined;
  return graph.once(`mask ${causal} ${window}`, () => {
    const real = (): OnnxValue =>
      graph.once("real", () => graph.node("Unsqueeze", [graph.input("attention_mask"), graph.integers([1, 2])]));
    if (!causal && window === 0) {
      const absent = graph.node("Sub", [graph.float(1), graph.node("Cast", [real()], { to: 1 })]);
      return graph.node("Mul", [absent, graph.float(hidden)]);
    }
    const distances = onnxDistances(graph);
    const conditions = padded ? [graph.node("Cast", [real()], { to: 9 })] : [];
    if (causal) conditions.push(graph.node("GreaterOrEqual", [distances, graph.integers(0)]));
    if (window > 0) {
      conditions.push(graph.node("LessOrEqual", [graph.node("Abs", [distances]), graph.integers(window)]));
    }
    const seen = conditions.reduce((a, b) => graph.node("And", [a, b]));
    return graph.node("Where", [seen, graph.float(0), graph.float(hidden)]);
  });
}

export interface OnnxAttentionOptions extends MaskOptions {
  readonly heads: number;
  /** Of one head. */
  readonly size: number;
  /** What scores are multiplied by. */
  readonly scale: number;
  /**
   * Added to scores before they are scaled. q: [batch, heads, sequence, size], k: [batch, heads, size, sequence]
   * -> [batch or absent, heads, sequence, sequence]
   */
  readonly added?: (q: OnnxValue, k: OnnxValue) => readonly OnnxValue[];
}

/** Attention of queries, keys and values side by side. qkv: [batch, sequence, 3 heads size] -> [batch, sequence, heads size] */
export function onnxAttention(
  qkv: OnnxValue,
  { heads, size, scale, causal, window, added }: OnnxAttentionOptions,
  graph: OnnxGraph,
): OnnxValue {
  const inner = heads * size;
  const apart = graph.integers([0, 0, heads, size]);
  const [q, k, v] = graph
    .split(qkv, [inner, inner, inner], 2)
    .map((part) => graph.node("Reshape", [part, apart]))
    .map((part, i) => graph.node("Transpose", [part], { perm: i === 1 ? [0, 2, 3, 1] : [0, 2, 1, 3] }));
  const products = [graph.node("MatMul", [q, k]), ...(added?.(q, k) ?? [])];
  const scores = graph.node("Div", [products.reduce((a, b) => graph.node("Add", [a, b])), graph.float(1 / scale)]);
  const mask = scoreMask({ causal, window }, graph);
  const masked = mask === undefined ? scores : graph.node("Add", [scores, mask]);
  const context = graph.node("MatMul", [graph.node("Softmax", [masked], { axis: -1 }), v]);
  const together = graph.node("Transpose", [context], { perm: [0, 2, 1, 3] });
  return graph.node("Reshape", [together, graph.integers([0, 0, inner])]);
}

interface RotaryOptions {
  /** Groups of columns that are turned, from the first on. */
  readonly heads: number;
  readonly size: number;
  readonly interleaved: boolean;
  readonly angles: RotaryAngles;
}

/** Pairs of columns turned by their places. x: [batch, sequence, width] */
export function onnxRotary(
  x: OnnxValue,
  { heads, size, interleaved, angles }: RotaryOptions,
  width: number,
  maxPositions: number,
  graph: OnnxGraph,
): OnnxValue {
  const half = size / 2;
  const axis = interleaved ? 4 : 3;
  const angle = (name: "cosines" | "sines"): OnnxValue =>
    graph.once(`${name} ${size} ${angles.theta} ${angles.rounding} ${interleaved}`, () => {
      const places = Array.from({ length: maxPositions }, (_, place) => place);
      const shape = [maxPositions, 1, ...(interleaved ? [half, 1] : [1, half])];
      return graph.node("Gather", [graph.floats(rotaryAngles(places, size, angles)[name], shape), onnxPlaces(graph)], {
        axis: 0,
      });
    });
  const turned = heads * size;
  const [first, rest] = turned === width ? [x] : graph.split(x, [turned, width - turned], 2);
  const pairs = graph.node("Reshape", [first, graph.integers([0, 0, heads, ...(interleaved ? [half, 2] : [2, half])])]);
  const [a, b] = graph.split(pairs, [1, 1], axis);
  const [cosines, sines] = [angle("cosines"), angle("sines")];
  const times = (u: OnnxValue, w: OnnxValue): OnnxValue => graph.node("Mul", [u, w]);
  const both = [
    graph.node("Sub", [times(a, cosines), times(b, sines)]),
    graph.node("Add", [times(b, cosines), times(a, sines)]),
  ];
  const flat = graph.node("Reshape", [graph.node("Concat", both, { axis }), graph.integers([0, 0, turned])]);
  return rest === undefined ? flat : graph.node("Concat", [flat, rest], { axis: 2 });
}
