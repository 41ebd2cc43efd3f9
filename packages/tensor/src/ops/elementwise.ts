// Arithmetic per element, with broadcasting. One kernel per arity; the operation is a number that kernels switch on.

import type { BinaryName, UnaryName } from "../backend/contract/elementwise.js";
import { binaryCode, unaryCode } from "../backend/contract/elementwise.js";
import { backend } from "../backend/index.js";
import { isReal } from "../dtype.js";
import { ClozeError } from "../errors.js";
import { record } from "../graph.js";
import { broadcastShapes, checkShape, elementCount, formatShape, sameShape } from "../shape.js";
import { empty, full, Tensor } from "../tensor.js";
import { broadcastTo, contiguous, sumTo } from "./movement.js";

/** A tensor, or a number that stands for a tensor of that one value. */
export type Operand = Tensor | number;

function needReal(operation: string, x: Tensor): void {
  if (isReal(x.dtype)) return;
  throw new ClozeError("DTYPE_NOT_SUPPORTED", `${operation} works on float32 and float64`, {
    received: x.dtype,
    remedy: "Call toFloat() first.",
  });
}

function unary(
  name: UnaryName,
  x: Tensor,
  derivative: (x: Tensor, y: Tensor) => Operand,
  keep: "x" | "y" | "none",
): Tensor {
  needReal(name, x);
  const source = contiguous(x);
  const y = empty(source.shape, source.dtype);
  backend().kernels.unaryF32(unaryCode[name], source.pointer, y.pointer, y.size);
  return record({
    name,
    inputs: [source],
    outputs: [y],
    save: keep === "none" ? [] : [keep === "x" ? source : y],
    backward: ([g], { saved }) => [g && mul(g, derivative(saved[0], saved[0]))],
  })[0];
}

export const neg = (x: Tensor): Tensor => unary("neg", x, () => -1, "none");
export const exp = (x: Tensor): Tensor => unary("exp", x, (_, y) => y, "y");
export const log = (x: Tensor): Tensor => unary("log", x, (v) => reciprocal(v), "x");
export const sqrt = (x: Tensor): Tensor => unary("sqrt", x, (_, y) => div(0.5, y), "y");
/** 1 / sqrt(x) */
export const rsqrt = (x: Tensor): Tensor => unary("rsqrt", x, (_, y) => mul(mul(mul(y, y), y), -0.5), "y");
export const abs = (x: Tensor): Tensor => unary("abs", x, (v) => sign(v), "x");
/** -1, 0 or 1; its gradient is 0. */
export const sign = (x: Tensor): Tensor => unary("sign", x, () => 0, "none");
export const reciprocal = (x: Tensor): Tensor => unary("reciprocal", x, (_, y) => neg(mul(y, y)), "y");
export const square = (x: Tensor): Tensor => unary("square", x, (v) => mul(v, 2), "x");
/** 2 / sqrt(pi) times the integral of exp(-t²) from 0 to x */
export const erf = (x: Tensor): Tensor => unary("erf", x, (v) => mul(exp(neg(mul(v, v))), 2 / Math.sqrt(Math.PI)), "x");
export const tanh = (x: Tensor): Tensor => unary("tanh", x, (_, y) => sub(1, mul(y, y)), "y");
export const sigmoid = (x: Tensor): Tensor => unary("sigmoid", x, (_, y) => mul(y, sub(1, y)), "y");
export const sin = (x: Tensor): Tensor => unary("sin", x, (v) => cos(v), "x");
export const cos = (x: Tensor): Tensor => unary("cos", x, (v) => neg(sin(v)), "x");
/** The largest whole number not above x; its gradient is 0. */
export const floor = (x: Tensor): Tensor => unary("floor", x, () => 0, "none");
/** log(1 + exp(x)), without overflow */
export const softplus = (x: Tensor): Tensor => unary("softplus", x, (v) => sigmoid(v), "x");
/** max(x, 0) */
export const relu = (x: Tensor): Tensor => unary("relu", x, (v) => greater(v, 0), "x");

/** Outer and inner strides of an operand under the result's shape, where two levels are enough; else undefined. */
function twoLevels(x: Tensor, shape: readonly number[]): { split: number; inner: 0 | 1; outer: boolean } | undefined {
  if (x.size === 1) return { split: 0, inner: 0, outer: false };
  if (!x.contiguous) return undefined;
  if (sameShape(x.shape, shape)) return { split: 0, inner: 1, outer: true };
  const extra = shape.length - x.rank;
  const stretched = shape.map((size, axis) => axis < extra || x.shape[axis - extra] !== size);
  const first = stretched.indexOf(false);
  const lastOwn = stretched.lastIndexOf(false);
  const solid = stretched.slice(first, lastOwn + 1).every((value) => !value || false);
  const ones = (from: number, to: number) => shape.slice(from, to).every((size) => size === 1);
  if (!solid) return undefined;
  if (lastOwn === shape.length - 1 || ones(lastOwn + 1, shape.length)) return { split: first, inner: 1, outer: false };
  if (first === 0 || ones(0, first)) return { split: lastOwn + 1, inner: 0, outer: true };
  return undefined;
}

function runBinary(code: number, left: Tensor, right: Tensor, y: Tensor): void {
  const { shape } = y;
  let a = left;
  let b = right;
  const planA = twoLevels(a, shape);
  const planB = twoLevels(b, shape);
  let split = 0;
  const fixed = [planA, planB].flatMap((plan) =>
    plan === undefined || (plan.outer && plan.inner === 1) || plan.split === 0 ? [] : [plan.split],
  );
  const agree = planA !== undefined && planB !== undefined && fixed.every((value) => value === fixed[0]);
  if (agree) {
    split = fixed[0] ?? 0;
  } else {
    // No two-level pattern covers both: write the stretched operands out.
    a = contiguous(broadcastTo(a.detach(), shape));
    b = contiguous(broadcastTo(b.detach(), shape));
  }
  const inner = elementCount(shape.slice(split));
  const outer = elementCount(shape.slice(0, split));
  const strides = (x: Tensor, plan: ReturnType<typeof twoLevels>): [number, number] => {
    if (!agree || plan === undefined) return [inner, 1];
    if (x.size === 1) return [0, 0];
    if (plan.outer && plan.inner === 1) return [inner, 1];
    return plan.inner === 1 ? [0, 1] : [1, 0];
  };
  const [outerA, innerA] = strides(a, planA);
  const [outerB, innerB] = strides(b, planB);
  backend().kernels.binaryF32(code, a.pointer, b.pointer, y.pointer, outer, inner, outerA, innerA, outerB, innerB);
  if (a !== left) a.dispose();
  if (b !== right) b.dispose();
}

type BinaryGradient = (g: Tensor, a: Tensor, b: Tensor) => Tensor;

/** `save`: what the gradients look at; "other" where that of each side looks at the other side only. */
function binary(
  name: BinaryName,
  a: Operand,
  b: Operand,
  gradA?: BinaryGradient,
  gradB?: BinaryGradient,
  save: "none" | "both" | "other" = "both",
): Tensor {
  const like = a instanceof Tensor ? a : b instanceof Tensor ? b : undefined;
  const left = a instanceof Tensor ? a : full([], a, like?.dtype ?? "float32");
  const right = b instanceof Tensor ? b : full([], b, like?.dtype ?? "float32");
  needReal(name, left);
  needReal(name, right);
  if (left.dtype !== right.dtype) {
    throw new ClozeError("DTYPE_MISMATCH", `${name}: both sides have one type`, {
      expected: left.dtype,
      received: right.dtype,
    });
  }
  const y = empty(broadcastShapes(name, left.shape, right.shape), left.dtype);
  if (y.size > 0) runBinary(binaryCode[name], left, right, y);
  const saving = save === "both" ? [left, right] : [];
  if (save === "other") saving.push(...(right.requiresGrad ? [left] : []), ...(left.requiresGrad ? [right] : []));
  const last = saving.length - 1;
  const [output] = record({
    name,
    inputs: [left, right],
    outputs: [y],
    save: saving,
    backward: ([g], { saved, needs }) => [
      g && gradA && needs(0) ? sumTo(gradA(g, saved[0], saved[last]), left.shape) : undefined,
      g && gradB && needs(1) ? sumTo(gradB(g, saved[0], saved[last]), right.shape) : undefined,
    ],
  });
  if (left !== a) left.dispose();
  if (right !== b) right.dispose();
  return output;
}

export const add = (a: Operand, b: Operand): Tensor =>
  binary(
    "add",
    a,
    b,
    (g) => g,
    (g) => g,
    "none",
  );
export const sub = (a: Operand, b: Operand): Tensor =>
  binary(
    "sub",
    a,
    b,
    (g) => g,
    (g) => neg(g),
    "none",
  );
export const mul = (a: Operand, b: Operand): Tensor =>
  binary(
    "mul",
    a,
    b,
    (g, _, y) => mul(g, y),
    (g, x) => mul(g, x),
    "other",
  );
export const div = (a: Operand, b: Operand): Tensor =>
  binary(
    "div",
    a,
    b,
    (g, _, y) => div(g, y),
    (g, x, y) => neg(div(mul(g, x), mul(y, y))),
  );
/** a to the power of b; the gradient for b needs positive a. */
export const pow = (a: Operand, b: Operand): Tensor =>
  binary(
    "pow",
    a,
    b,
    (g, x, y) => mul(g, mul(y, pow(x, sub(y, 1)))),
    (g, x, y) => mul(g, mul(pow(x, y), log(x))),
  );
/** The larger of the two; where they are equal the gradient goes to the first. */
export const maximum = (a: Operand, b: Operand): Tensor =>
  binary(
    "maximum",
    a,
    b,
    (g, x, y) => mul(g, greaterEqual(x, y)),
    (g, x, y) => mul(g, less(x, y)),
  );
export const minimum = (a: Operand, b: Operand): Tensor =>
  binary(
    "minimum",
    a,
    b,
    (g, x, y) => mul(g, lessEqual(x, y)),
    (g, x, y) => mul(g, greater(x, y)),
  );
/** 1 where the comparison holds, else 0, in the type of the operands; no gradient. */
export const equal = (a: Operand, b: Operand): Tensor => binary("eq", a, b, undefined, undefined, "none");
export const notEqual = (a: Operand, b: Operand): Tensor => binary("ne", a, b, undefined, undefined, "none");
export const less = (a: Operand, b: Operand): Tensor => binary("lt", a, b, undefined, undefined, "none");
export const lessEqual = (a: Operand, b: Operand): Tensor => binary("le", a, b, undefined, undefined, "none");
export const greater = (a: Operand, b: Operand): Tensor => binary("gt", a, b, undefined, undefined, "none");
export const greaterEqual = (a: Operand, b: Operand): Tensor => binary("ge", a, b, undefined, undefined, "none");

/** int32 as float32, or float32 as it is. */
export function toFloat(x: Tensor): Tensor {
  if (isReal(x.dtype)) return x;
  const source = contiguous(x);
  const y = empty(source.shape);
  backend().kernels.intToFloat(source.pointer, y.pointer, y.size);
  return y;
}

/** Real numbers cut to int32. */
export function toInteger(x: Tensor): Tensor {
  if (x.dtype === "int32") return x;
  needReal("toInteger", x);
  const source = contiguous(x);
  const y = empty(source.shape, "int32");
  backend().kernels.floatToInt(source.pointer, y.pointer, y.size);
  return y;
}

/** `condition` is not 0 ? a : b, per element; the condition (any type) and both sides broadcast. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const like = a instanceof Tensor ? a : b instanceof Tensor ? b : undefined;
  const left = a instanceof Tensor ? a : full([], a, like?.dtype ?? "float32");
  const right = b instanceof Tensor ? b : full([], b, like?.dtype ?? "float32");
  const shape = broadcastShapes("where", broadcastShapes("where", left.shape, right.shape), condition.shape);
  const test = contiguous(broadcastTo(toInteger(condition.detach()), shape));
  const wideLeft = contiguous(broadcastTo(left, shape));
  const wideRight = contiguous(broadcastTo(right, shape));
  const y = empty(shape, left.dtype);
  backend().kernels.whereF32(test.pointer, wideLeft.pointer, wideRight.pointer, y.pointer, y.size);
  return record({
    name: "where",
    inputs: [wideLeft, wideRight],
    outputs: [y],
    save: [test],
    backward: ([g], { saved, needs }) => [
      g && needs(0) ? where(saved[0], g, 0) : undefined,
      g && needs(1) ? where(saved[0], 0, g) : undefined,
    ],
  })[0];
}

/** Keeps x between two bounds; the gradient is 0 outside. */
export const clamp = (x: Tensor, low: number, high: number): Tensor => minimum(maximum(x, low), high);

/** a += b in place, b broadcast to a. Not recorded: for gradients and state, not for tensors in a graph. */
export function addInPlace(a: Tensor, b: Tensor): void {
  inPlace("add", a, b);
}
/**
 * a = (1 - share) a + share b in place, in one pass. Not recorded.
 *
 * @throws SHAPE_MISMATCH unless both are contiguous and of the same shape and type
 */
export function mixInPlace(a: Tensor, b: Tensor, share: number): void {
  const fits = sameShape(a.shape, b.shape) && a.dtype === b.dtype && a.contiguous && b.contiguous;
  checkShape(
    fits,
    "mixInPlace",
    `a contiguous ${a.dtype} ${formatShape(a.shape)}`,
    `${b.dtype} ${formatShape(b.shape)}`,
  );
  if (a.size > 0) backend().kernels.addScaledF32(b.pointer, a.pointer, a.size, share, 1 - share);
  a.markWritten();
}
/** a *= b in place. Not recorded. */
export function mulInPlace(a: Tensor, b: Tensor): void {
  inPlace("mul", a, b);
}

function inPlace(name: BinaryName, a: Tensor, b: Tensor): void {
  needReal(name, a);
  if (!a.contiguous || !sameShape(broadcastShapes(name, a.shape, b.shape), a.shape)) {
    throw new ClozeError(
      "SHAPE_MISMATCH",
      `${name} in place: the target is contiguous and has the shape of the result`,
      {
        expected: formatShape(broadcastShapes(name, a.shape, b.shape)),
        received: formatShape(a.shape),
      },
    );
  }
  if (a.size > 0) runBinary(binaryCode[name], a, b, a);
  a.markWritten();
}
