// Writing a model as an ONNX graph: what parts may say. `inference/onnx` keeps the graph and writes the file.
import type { ActivationName, Tensor } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import type { NormConfig } from "./norm.js";

/** A value of the graph, by its name there. Hidden states are padded: [batch, sequence, hidden] */
export interface OnnxValue {
  readonly name: string;
}

/** Whole numbers (one or a list), words, and `{ float }`, which the format tells apart. */
export type OnnxAttribute = number | readonly number[] | string | { readonly float: number };
export type OnnxAttributes = Readonly<Record<string, OnnxAttribute>>;

/** What exporters of transformers call the inputs: int64 [batch, sequence] each, and pixels [batch, channels, height, width]. */
export type OnnxInputName = "input_ids" | "attention_mask" | "token_type_ids" | "pixel_values";

export interface OnnxLinearOptions {
  readonly activation?: ActivationName;
  /** "float32": whatever the rest of the model is made of. */
  readonly weights?: "float32";
}

/** A graph that grows. */
export interface OnnxGraph {
  readonly opset: number;
  /** An input of the model, which has it from then on. */
  input(name: Exclude<OnnxInputName, "pixel_values">): OnnxValue;
  /**
   * Pixels as the input, instead of tokens; every sequence of the batch then has so many tokens, and none is padding.
   * shape: [channels, height, width] -> [batch, channels, height, width]
   */
  pixels(shape: readonly number[], tokens: number): OnnxValue;
  /** Tokens of each sequence, where none is padded. Undefined: sequences are padded, as the attention mask says. */
  readonly wholeLength: number | undefined;
  /** One operator with one output; inputs that it may go without are undefined. */
  node(operator: string, inputs: readonly (OnnxValue | undefined)[], attributes?: OnnxAttributes): OnnxValue;
  /** x in equal parts along an axis. */
  split(x: OnnxValue, parts: readonly number[], axis: number): OnnxValue[];
  /** A parameter as it is, once however many ask. */
  parameter(tensor: Tensor): OnnxValue;
  /** A float32 scalar. */
  float(value: number): OnnxValue;
  /** Numbers of a float32 constant. */
  floats(values: Float32Array, shape: readonly number[]): OnnxValue;
  /** int64 [values], or a scalar. */
  integers(values: readonly number[] | number): OnnxValue;
  /** activation(x weight^T + bias); the weight as 8-bit codes where the export asks for them. weight: [outputs, inputs] */
  linear(x: OnnxValue, weight: Tensor, bias: Tensor | undefined, options?: OnnxLinearOptions): OnnxValue;
  /** Rows of a table, likewise. indices: int64 [...] -> [..., width] */
  take(table: Tensor, indices: OnnxValue): OnnxValue;
  /** "ReduceSum" and the like over axes, which stay with size 1. */
  reduce(operator: string, x: OnnxValue, axes: readonly number[]): OnnxValue;
  /** What several parts need, made once. */
  once<T>(key: string, make: () => T): T;
}

/** What a slot part can reach while it writes its forward pass. */
export interface OnnxAccess {
  readonly graph: OnnxGraph;
  /** As in `SlotAccess`. */
  linear(matrix: string, x: OnnxValue, options?: { activation?: ActivationName }): OnnxValue;
  parameter(name: string): Tensor;
  shared(name: string): Tensor;
}

/** The error for what is not written as ONNX. */
export const unexported = (what: string): ClozeError =>
  new ClozeError("ONNX_UNSUPPORTED", `The ONNX export does not know ${what}`, {
    remedy: "Merge adapters first; models with other parts run in Cloze (cloze embed, cloze predict, cloze serve).",
  });

type ActivationWriter = (x: OnnxValue, graph: OnnxGraph) => OnnxValue;

/** Primitive operators in the order that runtimes recognise as one; the operator Gelu itself is of opset 20. */
const activations: Readonly<Record<ActivationName, ActivationWriter>> = {
  none: (x) => x,
  relu: (x, graph) => graph.node("Relu", [x]),
  tanh: (x, graph) => graph.node("Tanh", [x]),
  silu: (x, graph) => graph.node("Mul", [x, graph.node("Sigmoid", [x])]),
  quickGelu: (x, graph) => graph.node("Mul", [x, graph.node("Sigmoid", [graph.node("Mul", [x, graph.float(1.702)])])]),
  gelu(x, graph) {
    if (graph.opset >= 20) return graph.node("Gelu", [x], { approximate: "none" });
    const error = graph.node("Erf", [graph.node("Div", [x, graph.float(Math.SQRT2)])]);
    const scaled = graph.node("Mul", [x, graph.node("Add", [error, graph.float(1)])]);
    return graph.node("Mul", [scaled, graph.float(0.5)]);
  },
  geluTanh(x, graph) {
    if (graph.opset >= 20) return graph.node("Gelu", [x], { approximate: "tanh" });
    const cube = graph.node("Mul", [graph.node("Pow", [x, graph.float(3)]), graph.float(0.044715)]);
    const inner = graph.node("Mul", [graph.node("Add", [x, cube]), graph.float(Math.sqrt(2 / Math.PI))]);
    const bent = graph.node("Add", [graph.node("Tanh", [inner]), graph.float(1)]);
    return graph.node("Mul", [graph.node("Mul", [x, graph.float(0.5)]), bent]);
  },
};

/** An activation of any shape. */
export const onnxActivation = (x: OnnxValue, name: ActivationName, graph: OnnxGraph): OnnxValue =>
  activations[name](x, graph);

/** The encoder's norm over the last dimension. */
export function onnxNorm(
  x: OnnxValue,
  vector: (name: "weight" | "bias") => Tensor,
  { norm, normBias, normEpsilon }: NormConfig,
  graph: OnnxGraph,
): OnnxValue {
  const weight = graph.parameter(vector("weight"));
  if (norm === "layer") {
    const bias = normBias ? graph.parameter(vector("bias")) : undefined;
    return graph.node("LayerNormalization", [x, weight, bias], { axis: -1, epsilon: { float: normEpsilon } });
  }
  const square = graph.reduce("ReduceMean", graph.node("Mul", [x, x]), [-1]);
  const deviation = graph.node("Sqrt", [graph.node("Add", [square, graph.float(normEpsilon)])]);
  return graph.node("Mul", [graph.node("Div", [x, deviation]), weight]);
}

/** 0, 1, … one for each place of the padded sequences. int64 [sequence] */
export const onnxPlaces = (graph: OnnxGraph): OnnxValue =>
  graph.once("places", () => {
    if (graph.wholeLength !== undefined) return graph.integers(Array.from({ length: graph.wholeLength }, (_, i) => i));
    const shape = graph.node("Shape", [graph.input("input_ids")]);
    const length = graph.node("Gather", [shape, graph.integers(1)], { axis: 0 });
    return graph.node("Range", [graph.integers(0), length, graph.integers(1)]);
  });
