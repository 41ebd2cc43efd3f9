import type { OptimizerKernels } from "../contract/optimizer.js";
import type { ReferenceMemory } from "./memory.js";

export function optimizerKernels({ real, integer, array }: ReferenceMemory): OptimizerKernels {
  const kernels: OptimizerKernels = {
    adamwF32(
      p,
      g,
      m,
      v,
      count,
      gradientScale,
      keep,
      oneMinusBeta1,
      beta2,
      oneMinusBeta2,
      stepSize,
      inverseRoot,
      epsilon,
    ) {
      const weights = real(p);
      const gradients = real(g);
      const first = real(m);
      const second = real(v);
      for (let i = 0; i < count; i++) {
        const gradient = gradients[i] * gradientScale;
        first[i] += (gradient - first[i]) * oneMinusBeta1;
        second[i] = second[i] * beta2 + gradient * gradient * oneMinusBeta2;
        weights[i] = weights[i] * keep - (first[i] * stepSize) / (Math.sqrt(second[i]) * inverseRoot + epsilon);
      }
    },
    adamwRowsF32(p, g, m, v, rows, count, width, ...settings) {
      const list = integer(rows);
      for (let i = 0; i < count; i++) {
        const part = (pointer: typeof p) => real(pointer).subarray(list[i] * width, (list[i] + 1) * width);
        kernels.adamwF32(
          part(p) as Float32Array,
          part(g) as Float32Array,
          part(m) as Float32Array,
          part(v) as Float32Array,
          width,
          ...settings,
        );
        part(g).fill(0);
      }
    },
    adamDirectionF32(
      p,
      g,
      m,
      v,
      u,
      count,
      gradientScale,
      decay,
      oneMinusBeta1,
      beta2,
      oneMinusBeta2,
      inverseFirst,
      inverseRoot,
      epsilon,
    ) {
      const weights = real(p);
      const gradients = real(g);
      const first = real(m);
      const second = real(v);
      const direction = real(u);
      for (let i = 0; i < count; i++) {
        const gradient = gradients[i] * gradientScale;
        first[i] += (gradient - first[i]) * oneMinusBeta1;
        second[i] = second[i] * beta2 + gradient * gradient * oneMinusBeta2;
        direction[i] = (first[i] * inverseFirst) / (Math.sqrt(second[i]) * inverseRoot + epsilon) + decay * weights[i];
      }
    },
    sgdF32(p, g, b, count, gradientScale, learningRate, decay, momentum, dampening, nesterov, first) {
      const weights = real(p);
      const gradients = real(g);
      const buffer = b === null ? undefined : real(b);
      for (let i = 0; i < count; i++) {
        let step = gradients[i] * gradientScale + decay * weights[i];
        if (buffer !== undefined) {
          buffer[i] = first ? step : buffer[i] * momentum + step * (1 - dampening);
          step = nesterov ? step + momentum * buffer[i] : buffer[i];
        }
        weights[i] -= learningRate * step;
      }
    },
    sgdRowsF32(p, g, rows, count, width, gradientScale, learningRate, decay) {
      const weights = real(p);
      const gradients = real(g);
      for (const row of integer(rows).subarray(0, count)) {
        for (let i = row * width; i < (row + 1) * width; i++) {
          weights[i] -= learningRate * (gradients[i] * gradientScale + decay * weights[i]);
          gradients[i] = 0;
        }
      }
    },
    addScaledF32(x, y, count, alpha, beta) {
      const from = real(x);
      const to = real(y);
      for (let i = 0; i < count; i++) to[i] = from[i] * alpha + (beta === 0 ? 0 : to[i] * beta);
    },
    scaleRowsF32(x, rows, count, width, factor) {
      const values = real(x);
      for (const row of integer(rows).subarray(0, count)) {
        for (let i = row * width; i < (row + 1) * width; i++) values[i] *= factor;
      }
    },
    zeroRowsF32(x, rows, count, width) {
      for (const row of integer(rows).subarray(0, count)) real(x).fill(0, row * width, (row + 1) * width);
    },
    sumSquaresF32(x, count) {
      const values = real(x);
      let total = 0;
      for (let i = 0; i < count; i++) total += values[i] * values[i];
      return total;
    },
    sumSquaresRowsF32(x, rows, count, width) {
      const values = real(x);
      let total = 0;
      for (const row of integer(rows).subarray(0, count)) {
        for (let i = row * width; i < (row + 1) * width; i++) total += values[i] * values[i];
      }
      return total;
    },
    uniqueIds(ids, count, marks, out, found) {
      const from = integer(ids);
      const seen = array(marks);
      const to = integer(out);
      for (let i = 0; i < count; i++) {
        if (seen[from[i]] !== 0) continue;
        seen[from[i]] = 1;
        to[found++] = from[i];
      }
      return found;
    },
    clearMarks(ids, count, marks) {
      const seen = array(marks);
      for (const id of integer(ids).subarray(0, count)) seen[id] = 0;
    },
  };
  return kernels;
}
