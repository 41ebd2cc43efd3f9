import type { NetworkKernels } from "../contract/network.js";
import type { SparseKernels } from "../contract/sparse.js";
import type { ReferenceMemory } from "./memory.js";

export function sparseKernels(
  { real, integer }: ReferenceMemory,
  activationF32: NetworkKernels["activationF32"],
): SparseKernels {
  return {
    linearSparseF32(x, starts, inputs, values, bias, y, m, n, k, height, activation, residual) {
      const [from, weights, to] = [real(x), real(values), real(y)];
      const [begins, places] = [integer(starts), integer(inputs)];
      for (let row = 0; row < m; row++) {
        for (let column = 0; column < n; column++) {
          const group = Math.floor(column / height);
          let sum = bias === null ? 0 : real(bias)[column];
          for (let block = begins[group]; block < begins[group + 1]; block++) {
            sum += from[row * k + places[block]] * weights[block * height + (column % height)];
          }
          to[row * n + column] = sum;
        }
      }
      activationF32(activation, y, y, m * n);
      if (residual === null) return;
      const added = real(residual);
      for (let i = 0; i < m * n; i++) to[i] += added[i];
    },
    // A step is one code here, so that runs are no other thing.
    linearSparseInt8F32(
      codes,
      parameters,
      starts,
      inputs,
      weights,
      columns,
      bias,
      y,
      m,
      n,
      k,
      height,
      _runs,
      activation,
      residual,
    ) {
      const [from, rows, about, to] = [real(codes), real(parameters), real(columns), real(y)];
      const [begins, places, values] = [integer(starts), integer(inputs), integer(weights)];
      for (let row = 0; row < m; row++) {
        const [scale, zero] = [rows[2 * row], rows[2 * row + 1]];
        for (let column = 0; column < n; column++) {
          const group = Math.floor(column / height);
          let sum = 0;
          for (let step = begins[group]; step < begins[group + 1]; step++) {
            sum += (from[row * k + places[step]] - zero) * values[step * height + (column % height)];
          }
          to[row * n + column] = sum * scale * about[column] + (bias === null ? 0 : real(bias)[column]);
        }
      }
      activationF32(activation, y, y, m * n);
      if (residual === null) return;
      const added = real(residual);
      for (let i = 0; i < m * n; i++) to[i] += added[i];
    },
  };
}
