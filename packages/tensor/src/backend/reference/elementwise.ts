import type { ElementwiseKernels } from "../contract/elementwise.js";
import { binaryCode, unaryCode } from "../contract/elementwise.js";
import type { ReferenceMemory } from "./memory.js";

/** The error function: a series near zero, a continued fraction far from it; right to double precision. */
export function erf(x: number): number {
  const magnitude = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (magnitude > 6) return Math.sign(x);
  if (magnitude < 2.5) {
    let term = x;
    let total = x;
    for (let n = 1; n < 200; n++) {
      term *= (-x * x) / n;
      const next = total + term / (2 * n + 1);
      if (next === total) break;
      total = next;
    }
    return (2 / Math.sqrt(Math.PI)) * total;
  }
  let fraction = 0;
  for (let n = 200; n > 0; n--) fraction = n / 2 / (magnitude + fraction);
  return Math.sign(x) * (1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * (magnitude + fraction)));
}

const unary: Record<keyof typeof unaryCode, (x: number) => number> = {
  neg: (x) => -x,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  abs: Math.abs,
  sign: Math.sign,
  reciprocal: (x) => 1 / x,
  square: (x) => x * x,
  erf,
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  sin: Math.sin,
  cos: Math.cos,
  floor: Math.floor,
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  relu: (x) => (x < 0 ? 0 : x),
};
const binary: Record<keyof typeof binaryCode, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  pow: (a, b) => a ** b,
  maximum: (a, b) => (a > b ? a : b),
  minimum: (a, b) => (a < b ? a : b),
  eq: (a, b) => Number(a === b),
  ne: (a, b) => Number(a !== b),
  lt: (a, b) => Number(a < b),
  le: (a, b) => Number(a <= b),
  gt: (a, b) => Number(a > b),
  ge: (a, b) => Number(a >= b),
};
const byCode = <F>(codes: Record<string, number>, functions: Record<string, F>): F[] =>
  Object.entries(codes)
    .sort((a, b) => a[1] - b[1])
    .map(([name]) => functions[name]);
const unaryByCode = byCode(unaryCode, unary);
const binaryByCode = byCode(binaryCode, binary);

export function elementwiseKernels(memory: ReferenceMemory): ElementwiseKernels {
  const { real, integer } = memory;
  return {
    unaryF32(code, x, y, count) {
      const from = real(x);
      const to = real(y);
      const f = unaryByCode[code];
      for (let i = 0; i < count; i++) to[i] = f(from[i]);
    },
    binaryF32(code, a, b, y, outer, inner, outerA, innerA, outerB, innerB) {
      const left = real(a);
      const right = real(b);
      const to = real(y);
      const f = binaryByCode[code];
      for (let o = 0; o < outer; o++) {
        for (let i = 0; i < inner; i++) {
          to[o * inner + i] = f(left[o * outerA + i * innerA], right[o * outerB + i * innerB]);
        }
      }
    },
    whereF32(condition, a, b, y, count) {
      const test = integer(condition);
      const left = real(a);
      const right = real(b);
      const to = real(y);
      for (let i = 0; i < count; i++) to[i] = test[i] !== 0 ? left[i] : right[i];
    },
    floatToInt(x, y, count) {
      const from = real(x);
      const to = integer(y);
      for (let i = 0; i < count; i++) to[i] = Math.trunc(from[i]);
    },
    intToFloat(x, y, count) {
      const from = integer(x);
      const to = real(y);
      for (let i = 0; i < count; i++) to[i] = from[i];
    },
  };
}
