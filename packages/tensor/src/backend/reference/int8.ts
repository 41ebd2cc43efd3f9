import type { Int8Kernels } from "../contract/int8.js";
import type { NetworkKernels } from "../contract/network.js";
import type { ReferenceMemory } from "./memory.js";

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

/** Here a code takes the room of a number, and weights lie as they are. */
export function int8Kernels(
  { array, real }: ReferenceMemory,
  activationF32: NetworkKernels["activationF32"],
): Int8Kernels {
  return {
    int8RowBytes: (k) => 4 * k,
    quantizeRowsF32(x, codes, parameters, rows, k) {
      const [from, to, about] = [real(x), real(codes), real(parameters)];
      for (let row = 0; row < rows; row++) {
        const values = from.subarray(row * k, (row + 1) * k);
        let [low, high] = [0, 0];
        for (const value of values) {
          low = Math.min(low, value);
          high = Math.max(high, value);
        }
        const span = high - low;
        const scale = span > 1e-30 ? Math.fround(span / 255) : 1;
        const zero = Math.trunc(-low / scale + 0.5);
        about[2 * row] = values.every(Number.isFinite) ? scale : Number.NaN;
        about[2 * row + 1] = zero;
        values.forEach((value, i) => {
          to[row * k + i] = Math.trunc(clamp(value / scale + zero + 0.5, 0, 255));
        });
      }
    },
    quantizeRowsWithinF32(x, codes, parameters, rows, k, scale, zero) {
      const [from, to, about] = [real(x), real(codes), real(parameters)];
      for (let row = 0; row < rows; row++) {
        const values = from.subarray(row * k, (row + 1) * k);
        about[2 * row] = values.every(Number.isFinite) ? scale : Number.NaN;
        about[2 * row + 1] = zero;
        values.forEach((value, i) => {
          to[row * k + i] = Math.trunc(clamp(value / scale + zero + 0.5, 0, 255));
        });
      }
    },
    int8StepCodes: () => 1,
    packedInt8Bytes: (n, k) => 4 * n * k,
    packInt8F32(w, packed, columns, n, k) {
      const [from, to, about] = [real(w), real(packed), real(columns)];
      for (let column = 0; column < n; column++) {
        let largest = 0;
        for (let i = 0; i < k; i++) largest = Math.max(largest, Math.abs(from[column * k + i]));
        const scale = largest > 0 ? Math.fround(largest / 127) : 1;
        let sum = 0;
        for (let i = column * k; i < (column + 1) * k; i++) {
          to[i] = clamp(roundHalfEven(Math.fround(from[i] / scale)), -127, 127);
          sum += to[i];
        }
        about[column] = scale;
        about[n + column] = sum;
      }
    },
    linearInt8F32(codes, parameters, packed, columns, bias, y, m, n, k, activation, residual) {
      const [a, rows, b, about] = [real(codes), real(parameters), real(packed), real(columns)];
      const to = real(y);
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let p = 0; p < k; p++) sum += (a[i * k + p] - rows[2 * i + 1]) * b[j * k + p];
          to[i * n + j] = sum * rows[2 * i] * about[j] + (bias === null ? 0 : real(bias)[j]);
        }
      }
      activationF32(activation, y, y, m * n);
      if (residual === null) return;
      const added = real(residual);
      for (let i = 0; i < m * n; i++) to[i] += added[i];
    },
    packedInt4Bytes: (n, k) => 4 * n * k,
    packInt4(codes, packed, sums, n, k) {
      const [from, to, totals] = [array(codes), real(packed), real(sums)];
      for (let column = 0; column < n; column++) {
        totals[column] = 0;
        for (let i = column * k; i < (column + 1) * k; i++) {
          to[i] = from[i];
          totals[column] += from[i];
        }
      }
    },
    linearInt4F32(codes, parameters, packed, columns, bias, y, m, n, k, activation, residual) {
      const [a, rows, b, about] = [real(codes), real(parameters), real(packed), real(columns)];
      const to = real(y);
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let p = 0; p < k; p++)
            sum += (a[i * k + p] - rows[2 * i + 1]) * (b[j * k + p] * about[j] + about[n + j]);
          to[i * n + j] = sum * rows[2 * i] + (bias === null ? 0 : real(bias)[j]);
        }
      }
      activationF32(activation, y, y, m * n);
      if (residual === null) return;
      const added = real(residual);
      for (let i = 0; i < m * n; i++) to[i] += added[i];
    },
  };
}
