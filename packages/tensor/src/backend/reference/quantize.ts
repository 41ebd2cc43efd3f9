import type { QuantizeKernels } from "../contract/quantize.js";
import type { ReferenceMemory } from "./memory.js";

function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

export function quantizeKernels({ array, real, integer }: ReferenceMemory): QuantizeKernels {
  const float = new Float32Array(1);
  const bits = new Uint32Array(float.buffer);
  return {
    floatToBfloat16(x, y, count) {
      const from = real(x);
      const to = array(y);
      for (let i = 0; i < count; i++) {
        float[0] = from[i];
        const high = bits[0] >>> 16;
        to[i] = Number.isNaN(float[0]) ? high | 0x40 : (bits[0] + 0x7fff + (high & 1)) / 65536;
      }
    },
    bfloat16ToFloat(x, y, count) {
      const from = array(x);
      const to = real(y);
      for (let i = 0; i < count; i++) {
        bits[0] = from[i] * 65536;
        to[i] = float[0];
      }
    },
    quantizeInt8F32(x, y, scale, zero, rows, width, lowest) {
      const from = real(x);
      const to = array(y);
      for (let row = 0; row < rows; row++) {
        for (let i = row * width; i < (row + 1) * width; i++) {
          const value = roundHalfEven(Math.fround(from[i] / real(scale)[row])) + integer(zero)[row];
          to[i] = Math.min(127, Math.max(lowest, value));
        }
      }
    },
    dequantizeInt8F32(x, y, scale, zero, rows, width) {
      const from = array(x);
      const to = real(y);
      for (let row = 0; row < rows; row++) {
        for (let i = row * width; i < (row + 1) * width; i++) to[i] = (from[i] - integer(zero)[row]) * real(scale)[row];
      }
    },
  };
}
