// What heads write into an ONNX graph.
import type { ActivationName, Tensor } from "@cloze/tensor";
import type { NormConfig } from "../encoder/norm.js";
import { type OnnxGraph, type OnnxValue, onnxActivation, onnxNorm, onnxPlaces } from "../encoder/onnx.js";
import type { TransformConfig } from "./head-transform.js";

/** An output of the model: [batch, width], [batch, sequence, width], or [batch, sequence] where there is no width. */
export interface OnnxOutput {
  readonly value: OnnxValue;
  readonly per: "token" | "sequence";
  readonly width?: number;
}

/** Outputs by the names that transformers gives them. */
export type OnnxOutputs = Readonly<Record<string, OnnxOutput>>;

/** What a head can reach while it writes. */
export interface OnnxHeadAccess {
  readonly graph: OnnxGraph;
  /** One of the head's own parameters. */
  parameter(name: string): Tensor;
  /** The word embeddings, for tied decoders. [vocabulary, hidden] */
  wordTable(): Tensor;
}

type Pooling = "first" | "last" | "mean" | "max";

/** Over all tokens, where none is padding. */
const reduced = (operator: string, hidden: OnnxValue, graph: OnnxGraph): OnnxValue =>
  graph.node("Squeeze", [graph.reduce(operator, hidden, [1]), graph.integers([1])]);

/** 1 for tokens, 0 for padding. [batch, sequence, 1] */
function realTokens(graph: OnnxGraph, to: number): OnnxValue {
  return graph.node("Cast", [graph.node("Unsqueeze", [graph.input("attention_mask"), graph.integers([2])])], { to });
}

const poolings: Readonly<Record<Pooling, (hidden: OnnxValue, graph: OnnxGraph) => OnnxValue>> = {
  first: (hidden, graph) => graph.node("Gather", [hidden, graph.integers(0)], { axis: 1 }),
  last(hidden, graph) {
    const { wholeLength } = graph;
    if (wholeLength !== undefined) return graph.node("Gather", [hidden, graph.integers(wholeLength - 1)], { axis: 1 });
    const places = graph.node("Mul", [graph.input("attention_mask"), onnxPlaces(graph)]);
    return graph.node("GatherND", [hidden, graph.reduce("ReduceMax", places, [1])], { batch_dims: 1 });
  },
  mean(hidden, graph) {
    if (graph.wholeLength !== undefined) return reduced("ReduceMean", hidden, graph);
    const real = realTokens(graph, 1);
    const sum = graph.reduce("ReduceSum", graph.node("Mul", [hidden, real]), [1]);
    const count = graph.node("Max", [graph.reduce("ReduceSum", real, [1]), graph.float(1)]);
    return graph.node("Squeeze", [graph.node("Div", [sum, count]), graph.integers([1])]);
  },
  max(hidden, graph) {
    if (graph.wholeLength !== undefined) return reduced("ReduceMax", hidden, graph);
    const seen = graph.node("Where", [realTokens(graph, 9), hidden, graph.float(-3.4028234663852886e38)]);
    return reduced("ReduceMax", seen, graph);
  },
};

/** One vector for each sequence. hidden: [batch, sequence, hidden] -> [batch, hidden] */
export const onnxPooling = (hidden: OnnxValue, pooling: Pooling, graph: OnnxGraph): OnnxValue =>
  poolings[pooling](hidden, graph);

/** x weight^T + bias with the parameters of that name. Heads are small: they stay in float32. */
export const onnxDense = (
  name: string,
  x: OnnxValue,
  { parameter, graph }: OnnxHeadAccess,
  { bias = true, activation }: { bias?: boolean; activation?: ActivationName } = {},
): OnnxValue =>
  graph.linear(x, parameter(`${name}.weight`), bias ? parameter(`${name}.bias`) : undefined, {
    activation,
    weights: "float32",
  });

/** norm(activation(x W^T + b)); see `applyTransform`. */
export function onnxTransform(
  name: string,
  x: OnnxValue,
  config: TransformConfig,
  encoder: NormConfig,
  access: OnnxHeadAccess,
): OnnxValue {
  if (config === null) return x;
  const y = config.dense ? onnxDense(name, x, access, config) : onnxActivation(x, config.activation, access.graph);
  if (!config.norm) return y;
  return onnxNorm(y, (part) => access.parameter(`${name}Norm.${part}`), encoder, access.graph);
}
