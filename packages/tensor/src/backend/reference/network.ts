import { keeps } from "../../counter-random.js";
import type { LinearKernel, NetworkKernels } from "../contract/network.js";
import { erf } from "./elementwise.js";
import type { ReferenceMemory } from "./memory.js";

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const density = (x: number) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
const inner = (x: number) => Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);

const activations: { value: (x: number) => number; derivative: (x: number) => number }[] = [
  { value: (x) => x, derivative: () => 1 },
  {
    value: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
    derivative: (x) => 0.5 * (1 + erf(x * Math.SQRT1_2)) + x * density(x),
  },
  {
    value: (x) => 0.5 * x * (1 + Math.tanh(inner(x))),
    derivative(x) {
      const t = Math.tanh(inner(x));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
    },
  },
  { value: (x) => Math.max(x, 0), derivative: (x) => Number(x > 0) },
  { value: (x) => x * sigmoid(x), derivative: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))) },
  { value: Math.tanh, derivative: (x) => 1 - Math.tanh(x) ** 2 },
  {
    value: (x) => x * sigmoid(1.702 * x),
    derivative: (x) => sigmoid(1.702 * x) * (1 + 1.702 * x * (1 - sigmoid(1.702 * x))),
  },
];

export function networkKernels({ real, integer }: ReferenceMemory): NetworkKernels {
  const optional = (pointer: Parameters<typeof real>[0]) => (pointer === null ? undefined : real(pointer));
  const linear: LinearKernel = (x, w, bias, y, m, n, k, ldx, ldy, activation, preactivation, residual) => {
    const [from, weight, to] = [real(x), real(w), real(y)];
    const [shift, before, extra] = [optional(bias), optional(preactivation), optional(residual)];
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let total = shift?.[j] ?? 0;
        for (let l = 0; l < k; l++) total += from[i * ldx + l] * weight[j * k + l];
        if (before !== undefined) before[i * ldy + j] = total;
        to[i * ldy + j] = activations[activation].value(total) + (extra?.[i * ldy + j] ?? 0);
      }
    }
  };
  return {
    linearF32: linear,
    // The reference needs no order of its own.
    linearPackedF32: linear,
    packedWeightBytes: (n, k) => 4 * n * k,
    packWeightF32: (w, packed, n, k) => void real(packed).set(real(w).subarray(0, n * k)),
    activationF32(code, x, y, count) {
      const [from, to] = [real(x), real(y)];
      for (let i = 0; i < count; i++) to[i] = activations[code].value(from[i]);
    },
    activationBackwardF32(code, x, gy, gx, count) {
      const [from, gradient, to] = [real(x), real(gy), real(gx)];
      for (let i = 0; i < count; i++) to[i] = gradient[i] * activations[code].derivative(from[i]);
    },
    dropoutF32(x, y, rows, width, rate, seed) {
      const [from, to] = [real(x), real(y)];
      const scale = 1 / (1 - rate);
      for (let row = 0; row < rows; row++) {
        for (let c = 0; c < width; c++) {
          const at = row * width + c;
          to[at] = keeps(seed, row, c, rate) ? from[at] * scale : 0;
        }
      }
    },
    segmentSumF32(x, offsets, y, segments, width, mode) {
      const [from, ends, to] = [real(x), integer(offsets), real(y)];
      for (let s = 0; s < segments; s++) {
        const scale = mode === 1 ? 1 / Math.max(1, ends[s + 1] - ends[s]) : 1;
        for (let c = 0; c < width; c++) {
          let total = 0;
          for (let t = ends[s]; t < ends[s + 1]; t++) total += from[t * width + c];
          to[s * width + c] = total * scale;
        }
      }
    },
    segmentSumBackwardF32(gy, offsets, gx, segments, width, mode) {
      const [gradient, ends, to] = [real(gy), integer(offsets), real(gx)];
      for (let s = 0; s < segments; s++) {
        const scale = mode === 1 ? 1 / Math.max(1, ends[s + 1] - ends[s]) : 1;
        for (let t = ends[s]; t < ends[s + 1]; t++) {
          for (let c = 0; c < width; c++) to[t * width + c] = gradient[s * width + c] * scale;
        }
      }
    },
    layerNormF32(x, residual, gamma, beta, y, total, statistics, rows, width, epsilon) {
      const [from, scale, to, stats] = [real(x), real(gamma), real(y), real(statistics)];
      const [extra, shift, sum] = [optional(residual), optional(beta), optional(total)];
      for (let row = 0; row < rows; row++) {
        const s = Float64Array.from(
          { length: width },
          (_, c) => from[row * width + c] + (extra?.[row * width + c] ?? 0),
        );
        let mean = 0;
        for (const value of s) mean += value / width;
        let variance = 0;
        for (const value of s) variance += (value - mean) ** 2 / width;
        const inverse = 1 / Math.sqrt(variance + epsilon);
        stats[2 * row] = mean;
        stats[2 * row + 1] = inverse;
        for (let c = 0; c < width; c++) {
          if (sum !== undefined) sum[row * width + c] = s[c];
          to[row * width + c] = (s[c] - mean) * inverse * scale[c] + (shift?.[c] ?? 0);
        }
      }
    },
    layerNormBackwardF32(total, statistics, gamma, gy, gx, dgamma, dbeta, rows, width, addGamma, addBeta) {
      const [s, stats, scale, gradient, to] = [real(total), real(statistics), real(gamma), real(gy), real(gx)];
      const [forGamma, forBeta] = [optional(dgamma), optional(dbeta)];
      if (addGamma === 0) forGamma?.fill(0, 0, width);
      if (addBeta === 0) forBeta?.fill(0, 0, width);
      for (let row = 0; row < rows; row++) {
        const [mean, inverse] = [stats[2 * row], stats[2 * row + 1]];
        let sum = 0;
        let along = 0;
        for (let c = 0; c < width; c++) {
          const at = row * width + c;
          const unit = (s[at] - mean) * inverse;
          if (forGamma !== undefined) forGamma[c] += gradient[at] * unit;
          if (forBeta !== undefined) forBeta[c] += gradient[at];
          sum += (gradient[at] * scale[c]) / width;
          along += (gradient[at] * scale[c] * unit) / width;
        }
        for (let c = 0; c < width; c++) {
          const at = row * width + c;
          to[at] = inverse * (gradient[at] * scale[c] - sum - (s[at] - mean) * inverse * along);
        }
      }
    },
    softmaxF32(x, y, rows, width, logarithm) {
      const [from, to] = [real(x), real(y)];
      for (let row = 0; row < rows; row++) {
        const logSum = logSumExp(from, row * width, width);
        for (let i = row * width; i < (row + 1) * width; i++) {
          to[i] = logarithm === 1 ? from[i] - logSum : Math.exp(from[i] - logSum);
        }
      }
    },
    softmaxBackwardF32(y, gy, gx, rows, width, logarithm) {
      const [value, gradient, to] = [real(y), real(gy), real(gx)];
      for (let row = 0; row < rows; row++) {
        let sum = 0;
        for (let i = row * width; i < (row + 1) * width; i++) sum += gradient[i] * (logarithm === 1 ? 1 : value[i]);
        for (let i = row * width; i < (row + 1) * width; i++) {
          to[i] = logarithm === 1 ? gradient[i] - Math.exp(value[i]) * sum : value[i] * (gradient[i] - sum);
        }
      }
    },
    crossEntropyF32(logits, targets, losses, logSums, rows, classes, ignore, smoothing) {
      const [from, wanted, loss, sums] = [real(logits), integer(targets), real(losses), real(logSums)];
      for (let row = 0; row < rows; row++) {
        const logSum = logSumExp(from, row * classes, classes);
        sums[row] = logSum;
        if (wanted[row] === ignore) {
          loss[row] = 0;
          continue;
        }
        let mean = 0;
        if (smoothing > 0) for (let c = 0; c < classes; c++) mean += (logSum - from[row * classes + c]) / classes;
        loss[row] = (1 - smoothing) * (logSum - from[row * classes + wanted[row]]) + smoothing * mean;
      }
    },
    crossEntropyBackwardF32(logits, targets, logSums, gx, rows, classes, ignore, smoothing, scale) {
      const [from, wanted, sums, to] = [real(logits), integer(targets), real(logSums), real(gx)];
      for (let row = 0; row < rows; row++) {
        for (let c = 0; c < classes; c++) {
          const at = row * classes + c;
          const hot = (wanted[row] === c ? 1 - smoothing : 0) + smoothing / classes;
          to[at] = wanted[row] === ignore ? 0 : (Math.exp(from[at] - sums[row]) - hot) * scale;
        }
      }
    },
  };
}

function logSumExp(x: ArrayLike<number>, start: number, count: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = start; i < start + count; i++) largest = Math.max(largest, x[i]);
  if (largest === Number.NEGATIVE_INFINITY) return largest;
  let sum = 0;
  for (let i = start; i < start + count; i++) sum += Math.exp(x[i] - largest);
  return largest + Math.log(sum);
}
