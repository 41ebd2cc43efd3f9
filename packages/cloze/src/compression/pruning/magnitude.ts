// Pruning by magnitude: the blocks with the smallest weights become zeros.
import type { Tensor } from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/index.js";

export interface PruneOptions {
  /** Share of the blocks of each matrix that become zeros. */
  sparsity: number;
  /**
   * Shape of a block of a weight [outputs, inputs]. Default 16 outputs at 1 input, which the kernels of
   * `compile(model, { weights: "sparse" })` like best; 4 x 1 and 1 x 1 run fast too.
   */
  block?: { outputs: number; inputs: number };
  /** Which parameters; default: the matrices of the layers. */
  include?: (name: string) => boolean;
}

/** What was pruned. */
export interface PruneReport {
  readonly matrices: number;
  readonly weights: number;
  /** Weights that are zero now. */
  readonly zeros: number;
}

/** The squares of each block, summed: [block rows, block columns]. */
function energies(values: Float32Array, rows: number, columns: number, height: number, width: number): Float64Array {
  const across = Math.ceil(columns / width);
  const sums = new Float64Array(Math.ceil(rows / height) * across);
  for (let row = 0; row < rows; row++) {
    const base = Math.floor(row / height) * across;
    for (let column = 0; column < columns; column++)
      sums[base + Math.floor(column / width)] += values[row * columns + column] ** 2;
  }
  return sums;
}

function pruneMatrix(weight: Tensor, sparsity: number, height: number, width: number): number {
  const [rows, columns] = weight.shape;
  const values = Float32Array.from(weight.toTypedArray());
  const sums = energies(values, rows, columns, height, width);
  const order = Int32Array.from(sums.keys()).sort((a, b) => sums[a] - sums[b] || a - b);
  const gone = new Uint8Array(sums.length);
  for (const block of order.subarray(0, Math.round(sparsity * sums.length))) gone[block] = 1;
  const across = Math.ceil(columns / width);
  let zeros = 0;
  for (let i = 0; i < values.length; i++) {
    const block = Math.floor(Math.floor(i / columns) / height) * across + Math.floor((i % columns) / width);
    if (gone[block] === 1) values[i] = 0;
    zeros += Number(values[i] === 0);
  }
  weight.storage.backend.write(values, weight.pointer as number);
  weight.markWritten();
  return zeros;
}

/**
 * Sets the blocks of each matrix that have the least sum of squares to zero, in place. Training on afterwards repairs what
 * was lost (and fills the zeros again, unless the caller prunes again).
 *
 * @throws OPTION_INVALID
 * @example
 * pruneByMagnitude(model, { sparsity: 0.8 });
 * const compiled = compile(model, { weights: "sparse" });
 */
export function pruneByMagnitude(model: Model, { sparsity, block, include }: PruneOptions): PruneReport {
  if (!(sparsity >= 0 && sparsity <= 1)) {
    throw new ClozeError("OPTION_INVALID", "Sparsity is a share", { expected: "0 to 1", received: String(sparsity) });
  }
  const { outputs, inputs } = block ?? { outputs: 16, inputs: 1 };
  const wanted = include ?? ((name: string) => name.startsWith("encoder.layers."));
  let [matrices, weights, zeros] = [0, 0, 0];
  for (const [name, parameter] of model.parameters) {
    if (parameter.rank !== 2 || !wanted(name)) continue;
    matrices++;
    weights += parameter.size;
    zeros += pruneMatrix(parameter, sparsity, outputs, inputs);
  }
  return { matrices, weights, zeros };
}
