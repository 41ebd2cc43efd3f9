import type { ReduceKernels } from "../contract/reduce.js";
import type { ReferenceMemory } from "./memory.js";

const start = [0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
const combine = [
  (a: number, b: number) => a + b,
  (a: number, b: number) => (a > b ? a : b),
  (a: number, b: number) => (a < b ? a : b),
];

export function reduceKernels({ real, integer }: ReferenceMemory): ReduceKernels {
  return {
    reduceF32(code, x, y, outer, length, inner) {
      const from = real(x);
      const to = real(y);
      for (let o = 0; o < outer; o++) {
        for (let i = 0; i < inner; i++) {
          let total = start[code];
          for (let l = 0; l < length; l++) total = combine[code](total, from[(o * length + l) * inner + i]);
          to[o * inner + i] = total;
        }
      }
    },
    cumulativeSumF32(x, y, outer, length, inner, reverse) {
      const from = real(x);
      const to = real(y);
      for (let o = 0; o < outer; o++) {
        for (let i = 0; i < inner; i++) {
          let total = 0;
          for (let l = 0; l < length; l++) {
            const at = (o * length + (reverse ? length - 1 - l : l)) * inner + i;
            total += from[at];
            to[at] = total;
          }
        }
      }
    },
    takeRowsF32(x, indices, y, count, width) {
      const from = real(x);
      const rows = integer(indices);
      const to = real(y);
      for (let i = 0; i < count; i++) to.set(from.subarray(rows[i] * width, (rows[i] + 1) * width), i * width);
    },
    scatterAddRowsF32(x, indices, y, count, width) {
      const from = real(x);
      const rows = integer(indices);
      const to = real(y);
      for (let i = 0; i < count; i++) for (let c = 0; c < width; c++) to[rows[i] * width + c] += from[i * width + c];
    },
  };
}
