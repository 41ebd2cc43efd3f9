import type { Pointer } from "../contract.js";

/** What `unaryF32` and `binaryF32` compute, by number. */
export const unaryCode = {
  neg: 0,
  exp: 1,
  log: 2,
  sqrt: 3,
  rsqrt: 4,
  abs: 5,
  sign: 6,
  reciprocal: 7,
  square: 8,
  erf: 9,
  tanh: 10,
  sigmoid: 11,
  sin: 12,
  cos: 13,
  floor: 14,
  softplus: 15,
  relu: 16,
} as const;
export const binaryCode = {
  add: 0,
  sub: 1,
  mul: 2,
  div: 3,
  pow: 4,
  maximum: 5,
  minimum: 6,
  eq: 7,
  ne: 8,
  lt: 9,
  le: 10,
  gt: 11,
  ge: 12,
} as const;
export type UnaryName = keyof typeof unaryCode;
export type BinaryName = keyof typeof binaryCode;

export interface ElementwiseKernels {
  unaryF32(code: number, x: Pointer, y: Pointer, count: number): void;
  /** y [outer, inner]; inner strides are 0 or 1. */
  binaryF32(
    code: number,
    a: Pointer,
    b: Pointer,
    y: Pointer,
    outer: number,
    inner: number,
    outerA: number,
    innerA: number,
    outerB: number,
    innerB: number,
  ): void;
  whereF32(condition: Pointer, a: Pointer, b: Pointer, y: Pointer, count: number): void;
  floatToInt(x: Pointer, y: Pointer, count: number): void;
  intToFloat(x: Pointer, y: Pointer, count: number): void;
}
