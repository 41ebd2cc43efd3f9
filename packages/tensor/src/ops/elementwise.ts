// Arithmetic per element, with broadcasting. One kernel per arity; the operation is a number that kernels switch on.
import { backend } from "../backend/index.js";
import type { DType } from "../dtype.js";
import { isReal } from "../dtype.js";
import { ClozeError } from "../errors.js";
import { isComposing, record } from "../graph.js";
import { broadcastShapes, formatShape, sameShape } from "../shape.js";
import { empty, full, Tensor } from "../tensor.js";
import { broadcastTo, sumTo } from "./movement.js";

/** A tensor, or a number that stands for a tensor of that one value. */
export type Operand = Tensor | number;

export const binaryCode = { add: 0, sub: 1, mul: 2, div: 3, pow: 4, maximum: 5, minimum: 6, eq: 7, ne: 8, lt: 9, le: 10, gt: 11, ge: 12 } as const;
export const unaryCode = { neg: 0, exp: 1, log: 2, sqrt: 3, rsqrt: 4, abs: 5, sign: 6, reciprocal: 7, square: 8, erf: 9, tanh: 10, sigmoid: 11, sin: 12, cos: 13, floor: 14, softplus: 15, log1p: 16, expm1: 17, round: 18 } as const;
export type BinaryName = keyof typeof binaryCode;
export type UnaryName = keyof typeof unaryCode;
