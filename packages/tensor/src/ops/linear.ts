// x w^T + b with the activation in the same pass.
import { type ActivationName, activationCode } from "../backend/contract/network.js";
import { reduceCode } from "../backend/contract/reduce.js";
import { backend } from "../backend/index.js";
import { type BackwardContext, isComposing, record, wantsGrad } from "../graph.js";
import { checkShape, formatShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { activated, activation, activationGradient } from "./activation.js";
import { add, addInPlace } from "./elementwise.js";
import { matmul, operand, product } from "./matmul.js";
import { contiguous, reshape, transpose } from "./movement.js";
import { packedForm } from "./packed-weights.js";

export interface LinearOptions {
  /** Applied to the result. Default "none". */
  activation?: ActivationName;
}

/** The gradient of a bias: the sum of rows, into the leaf's own buffer where possible. g: [rows, n] contiguous. */
export function biasGradient(g: Tensor, input: number, { leafGradient }: BackwardContext): Tensor | undefined {
  const [rows, n] = g.shape;
  const leaf = leafGradient(input);
  const total = leaf?.fresh ? leaf.tensor : empty([n], g.dtype);
  backend().kernels.reduceF32(reduceCode.sum, g.pointer, total.pointer, 1, rows, n);
  if (leaf === undefined) return total;
  if (!leaf.fresh) {
    addInPlace(leaf.tensor, total);
    total.dispose();
  }
  return undefined;
}

/** The gradient of a weight [n, k]: g^T x, into the leaf's own buffer where possible. */
function weightGradient(g: Tensor, x: Tensor, input: number, { leafGradient }: BackwardContext): Tensor | undefined {
  const leaf = leafGradient(input);
  const into = leaf?.tensor ?? empty([g.shape[1], x.shape[1]], g.dtype);
  if (into.size > 0) product(operand(transpose(g), []), x, into, leaf === undefined || leaf.fresh ? 0 : 1);
  if (leaf === undefined) return into;
  leaf.leaf.touchedRows = undefined;
  return undefined;
}

/** How errors call what a layer is given. */
const usualNames = { input: "x", rows: "...", outputs: "out" };

/** Holds rows [..., in], a weight [outputs, in] and a bias [outputs] against each other. @throws SHAPE_MISMATCH */
export function checkLayer(
  operation: string,
  [x, weight, bias]: readonly [x: Tensor, weight: Tensor, bias: Tensor | undefined],
  { input, rows, outputs } = usualNames,
): void {
  checkShape(weight.rank === 2, operation, `a weight [${outputs}, in]`, formatShape(weight.shape));
  const [n, k] = weight.shape;
  checkShape(x.rank >= 1 && x.shape[x.rank - 1] === k, operation, `${input} [${rows}, ${k}]`, formatShape(x.shape));
  const fits = bias === undefined || (bias.rank === 1 && bias.shape[0] === n);
  checkShape(fits, operation, `a bias [${n}]`, formatShape(bias?.shape ?? []));
}

/**
 * activation(x weight^T + bias), as PyTorch's Linear keeps its weight.
 *
 * @param x [..., in]
 * @param weight [out, in]
 * @param bias [out] or undefined for none
 * @returns [..., out]
 * @throws SHAPE_MISMATCH
 * @example
 * const hidden = linear(x, weight, bias, { activation: "gelu" });
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor, options: LinearOptions = {}): Tensor {
  const name = options.activation ?? "none";
  checkLayer("linear", [x, weight, bias]);
  const [n, k] = weight.shape;
  if (isComposing()) {
    const flat = matmul(x.rank === 1 ? reshape(x, [1, k]) : x, transpose(weight));
    const y = x.rank === 1 ? reshape(flat, [n]) : flat;
    return activation(bias === undefined ? y : add(y, bias), name);
  }
  const rows = k === 0 ? x.shape.slice(0, -1).reduce((a, b) => a * b, 1) : x.size / k;
  const source = x.rank === 2 ? contiguous(x) : reshape(contiguous(x), [rows, k]);
  const matrix = contiguous(weight);
  const shift = bias && contiguous(bias);
  const inputs = shift === undefined ? [source, matrix] : [source, matrix, shift];
  const keepsBefore = name !== "none" && wantsGrad(inputs);
  const y = empty([rows, n], x.dtype);
  const before = keepsBefore ? empty([rows, n], x.dtype) : undefined;
  if (y.size > 0) {
    const packed = before === undefined ? packedForm(matrix) : undefined;
    const { kernels } = backend();
    const run = packed === undefined ? kernels.linearF32 : kernels.linearPackedF32;
    run(
      source.pointer,
      packed?.pointer ?? matrix.pointer,
      shift?.pointer ?? null,
      y.pointer,
      rows,
      n,
      k,
      k,
      n,
      activationCode[name],
      before?.pointer ?? null,
      null,
    );
  }
  const [output] = record({
    name: "linear",
    inputs,
    outputs: [y],
    // A frozen weight needs no x, and an x without gradient no weight: what is not looked at is not kept.
    save: [
      ...(matrix.requiresGrad ? [source] : []),
      ...(source.requiresGrad ? [matrix] : []),
      ...(before === undefined ? [] : [before]),
    ],
    remake: keepsBefore ? (saved) => activated(saved[saved.length - 1], name) : undefined,
    differentiable: false,
    backward([gradient], context) {
      if (gradient === undefined) return [];
      const rest = [...context.saved];
      const preactivation = keepsBefore ? rest.pop() : undefined;
      const [input, w] = [rest[0], rest[rest.length - 1]];
      const g = preactivation === undefined ? contiguous(gradient) : activationGradient(preactivation, gradient, name);
      return [
        context.needs(0) ? matmul(g, w) : undefined,
        context.needs(1) ? weightGradient(g, input, 1, context) : undefined,
        shift !== undefined && context.needs(2) ? biasGradient(g, 2, context) : undefined,
      ];
    },
  });
  before?.dispose();
  return x.rank === 2 ? output : reshape(output, [...x.shape.slice(0, -1), n]);
}
