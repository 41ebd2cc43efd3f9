import type { CoreKernels } from "../contract/core.js";
import type { ReferenceMemory } from "./memory.js";

export function coreKernels(memory: ReferenceMemory): CoreKernels {
  return {
    fillF32: (y, value, count) => void memory.real(y).fill(value, 0, count),
    fillI32: (y, value, count) => void memory.integer(y).fill(value, 0, count),
    copyStrided(x, y, shape, strides, rank) {
      const from = memory.array(x);
      const to = memory.array(y);
      let count = 1;
      for (let axis = 0; axis < rank; axis++) count *= shape[axis];
      const index = new Int32Array(rank);
      let offset = 0;
      for (let i = 0; i < count; i++) {
        to[i] = from[offset];
        for (let axis = rank - 1; axis >= 0; axis--) {
          offset += strides[axis];
          if (++index[axis] < shape[axis]) break;
          offset -= strides[axis] * shape[axis];
          index[axis] = 0;
        }
      }
    },
  };
}
