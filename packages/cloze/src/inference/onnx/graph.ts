// The graph that parts write into.
import type { Tensor } from "@cloze/tensor";
import {
  type OnnxAttributes,
  type OnnxGraph,
  type OnnxInputName,
  type OnnxLinearOptions,
  type OnnxValue,
  onnxActivation,
} from "../../encoder/onnx.js";
import { type Initializer, initializer, plainNumbers, rowCodes, rowScales, transposedNumbers } from "./initializer.js";

/** An operator of the graph. */
export interface OnnxNode {
  readonly operator: string;
  readonly name: string;
  /** "" where one is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: OnnxAttributes;
}

/** An input or output: its type, and names for the dimensions that vary. */
export interface ValueInfo {
  readonly name: string;
  readonly type: "float32" | "int64";
  readonly shape: readonly (number | string)[];
}

/** A graph that can be written. */
export interface WritableGraph extends OnnxGraph {
  readonly inputs: readonly ValueInfo[];
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly Initializer[];
  /** Gives a value a name of its own, as an output of the model. */
  output(value: OnnxValue, name: string): void;
}

/**
 * Codes of matrices stay within 7 bits: processors without VNNI add pairs of products of 8-bit numbers in 16 bits, where 255
 * times 127 twice has no room. Tables whose rows are only taken have all 8.
 */
const matrixCode = 64;
const tableCode = 127;

const tokenInputs: readonly OnnxInputName[] = ["input_ids", "attention_mask", "token_type_ids"];

export interface GraphOptions {
  readonly opset: number;
  readonly quantize?: "int8";
  /** Of parameters. */
  readonly names: ReadonlyMap<Tensor, string>;
}

/** Starts a graph. */
export function createGraph({ opset, quantize, names }: GraphOptions): WritableGraph {
  const inputs = new Set<OnnxInputName>(["input_ids", "attention_mask"]);
  let images: { shape: readonly number[]; tokens: number } | undefined;
  const nodes: OnnxNode[] = [];
  const initializers = new Map<string, Initializer>();
  const remembered = new Map<string, unknown>();
  const multiplied = new Set<Tensor>();
  const taken = new Set<Tensor>();

  const once = <T>(key: string, make: () => T): T => {
    if (!remembered.has(key)) remembered.set(key, make());
    return remembered.get(key) as T;
  };
  const stored = (made: Initializer): OnnxValue => {
    initializers.set(made.name, made);
    return { name: made.name };
  };
  const nameOf = (tensor: Tensor): string =>
    names.get(tensor) ?? once(`unnamed ${tensor.pointer}`, () => `constant.${initializers.size}`);
  const largestCode = (tensor: Tensor): number => (multiplied.has(tensor) ? matrixCode : tableCode);

  const put = (
    operator: string,
    given: readonly (OnnxValue | undefined)[],
    attributes: OnnxAttributes,
    outputs: number,
  ): OnnxValue[] => {
    const name = `${operator}_${nodes.length}`;
    const made = Array.from({ length: outputs }, (_, i) => ({ name: outputs === 1 ? name : `${name}.${i}` }));
    const all = given.map((value) => value?.name ?? "");
    while (all[all.length - 1] === "") all.pop();
    nodes.push({ operator, name, inputs: all, outputs: made.map((value) => value.name), attributes });
    return made;
  };
  const node: OnnxGraph["node"] = (operator, given, attributes = {}) => put(operator, given, attributes, 1)[0];
  const constant = (
    type: "float32" | "int64",
    values: Float32Array | BigInt64Array,
    shape: readonly number[],
  ): OnnxValue =>
    once(`${type} [${shape}] ${values}`, () =>
      stored(initializer(`constant.${initializers.size}`, type, shape, () => [values])),
    );

  /**
   * Codes of what is multiplied, with a scale for each token: DynamicQuantizeLinear has one for all, which a single outlier
   * spoils (hidden states of all-MiniLM-L6-v2: cosine to float32 0.987 instead of 0.995), and makes a text's result depend
   * on its neighbours.
   */
  const codesOf = (x: OnnxValue): { codes: OnnxValue; scale: OnnxValue; zero: OnnxValue } =>
    once(`codes of ${x.name}`, () => {
      const largest = graph.reduce("ReduceMax", node("Abs", [x]), [-1]);
      const scale = node("Max", [node("Div", [largest, graph.float(127)]), graph.float(1e-30)]);
      const zero = once("zero of codes", () =>
        stored(initializer("zero of codes", "uint8", [], () => [Uint8Array.of(128)])),
      );
      return { codes: node("QuantizeLinear", [node("Div", [x, scale]), graph.float(1), zero]), scale, zero };
    });

  /** x weight^T by 8-bit codes. */
  function integerProduct(x: OnnxValue, weight: Tensor): OnnxValue {
    const [outputs, width] = weight.shape;
    const { codes, scale, zero } = codesOf(x);
    multiplied.add(weight);
    const name = nameOf(weight);
    const matrix = taken.has(weight)
      ? once(`transposed ${name}`, () => node("Transpose", [{ name: `${name}.codes` }], { perm: [1, 0] }))
      : stored(
          initializer(`${name}.matrix`, "int8", [width, outputs], () => rowCodes(weight, matrixCode, "transposed")),
        );
    const scales = stored(
      initializer(`${name}.matrix.scales`, "float32", [outputs], () => [rowScales(weight, matrixCode)]),
    );
    const zeros = stored(initializer(`${name}.matrix.zeros`, "int8", [outputs], () => [new Int8Array(outputs)]));
    const product = node("MatMulInteger", [codes, matrix, zero, zeros]);
    return node("Mul", [node("Mul", [node("Cast", [product], { to: 1 }), scales]), scale]);
  }

  function product(x: OnnxValue, weight: Tensor, { weights }: OnnxLinearOptions): OnnxValue {
    if (quantize === "int8" && weights !== "float32") return integerProduct(x, weight);
    const [outputs, width] = weight.shape;
    const name = nameOf(weight);
    const matrix = initializers.has(name)
      ? once(`transposed ${name}`, () => node("Transpose", [{ name }], { perm: [1, 0] }))
      : stored(initializer(`${name}.matrix`, "float32", [width, outputs], () => transposedNumbers(weight)));
    return node("MatMul", [x, matrix]);
  }

  const graph: WritableGraph = {
    opset,
    nodes,
    once,
    node,
    get inputs(): ValueInfo[] {
      if (images !== undefined) {
        return [{ name: "pixel_values", type: "float32", shape: ["batch_size", ...images.shape] }];
      }
      const shape = ["batch_size", "sequence_length"];
      return tokenInputs.filter((name) => inputs.has(name)).map((name) => ({ name, type: "int64", shape }));
    },
    get wholeLength() {
      return images?.tokens;
    },
    pixels(shape, tokens) {
      images = { shape, tokens };
      return { name: "pixel_values" };
    },
    get initializers() {
      return [...initializers.values()];
    },
    input(name) {
      inputs.add(name);
      return { name };
    },
    split(x, parts, axis) {
      return put("Split", [x, graph.integers(parts)], { axis }, parts.length);
    },
    parameter(tensor) {
      const name = nameOf(tensor);
      return stored(initializer(name, "float32", tensor.shape, () => plainNumbers(tensor)));
    },
    float: (value) => constant("float32", Float32Array.of(value), []),
    floats: (values, shape) => constant("float32", values, shape),
    integers: (values) =>
      typeof values === "number"
        ? constant("int64", BigInt64Array.of(BigInt(values)), [])
        : constant("int64", BigInt64Array.from(values, BigInt), [values.length]),
    linear(x, weight, bias, options = {}) {
      const y = product(x, weight, options);
      const shifted = bias === undefined ? y : node("Add", [y, graph.parameter(bias)]);
      return onnxActivation(shifted, options.activation ?? "none", graph);
    },
    take(table, indices) {
      if (quantize !== "int8") return node("Gather", [graph.parameter(table), indices], { axis: 0 });
      taken.add(table);
      const name = nameOf(table);
      const codes = stored(
        initializer(`${name}.codes`, "int8", table.shape, () => rowCodes(table, largestCode(table), "rows")),
      );
      const scales = stored(
        initializer(`${name}.scales`, "float32", [table.shape[0], 1], () => [rowScales(table, largestCode(table))]),
      );
      const [rows, factors] = [codes, scales].map((of) => node("Gather", [of, indices], { axis: 0 }));
      return node("Mul", [node("Cast", [rows], { to: 1 }), factors]);
    },
    reduce(operator, x, axes) {
      // ReduceSum takes axes as an input since opset 13, the others since 18.
      if (operator === "ReduceSum" || opset >= 18) return node(operator, [x, graph.integers(axes)], { keepdims: 1 });
      return node(operator, [x], { axes, keepdims: 1 });
    },
    output(value, name) {
      nodes.push({ operator: "Identity", name, inputs: [value.name], outputs: [name], attributes: {} });
    },
  };
  return graph;
}
