// k-means: Lloyd's iterations from k-means++ starts.
import { matmul, noGrad, scope, tensor, transpose } from "@cloze/tensor";
import { type RandomSource, randomSource } from "../../data/random-source.js";
import { ClozeError } from "../../errors.js";

export interface KMeansOptions {
  /** Runs from different starts; the best is taken. Default 3. */
  starts?: number;
  /** Iterations at most. Default 100. */
  iterations?: number;
  /** Default 1. */
  seed?: number;
}

export interface Clusters {
  /** The cluster of each row. */
  readonly assignment: Int32Array;
  /** [clusters, width] */
  readonly centres: Float32Array;
  /** Sum of squared distances from the centres. */
  readonly inertia: number;
}

const squareOf = (x: Float32Array, start: number, width: number): number => {
  let sum = 0;
  for (let c = start; c < start + width; c++) sum += x[c] * x[c];
  return sum;
};

/** Squared distances of all rows from all centres. -> [rows, centres] */
function distances(x: Float32Array, centres: Float32Array, width: number): Float32Array {
  const [rows, k] = [x.length / width, centres.length / width];
  const products = scope(() =>
    noGrad(() => matmul(tensor(x, [rows, width]), transpose(tensor(centres, [k, width]))).toTypedArray()),
  ) as Float32Array;
  const squares = Float64Array.from({ length: k }, (_, j) => squareOf(centres, j * width, width));
  for (let i = 0; i < rows; i++) {
    const own = squareOf(x, i * width, width);
    for (let j = 0; j < k; j++) products[i * k + j] = Math.max(0, own + squares[j] - 2 * products[i * k + j]);
  }
  return products;
}

/** k-means++ (Arthur and Vassilvitskii 2007): each next centre by the squared distance from those before. */
function startCentres(x: Float32Array, width: number, k: number, random: RandomSource): Float32Array {
  const rows = x.length / width;
  const centres = new Float32Array(k * width);
  const nearest = new Float64Array(rows).fill(Number.POSITIVE_INFINITY);
  let chosen = Math.floor(random() * rows);
  for (let j = 0; j < k; j++) {
    centres.set(x.subarray(chosen * width, (chosen + 1) * width), j * width);
    const from = distances(x, centres.subarray(j * width, (j + 1) * width), width);
    let total = 0;
    for (let i = 0; i < rows; i++) {
      nearest[i] = Math.min(nearest[i], from[i]);
      total += nearest[i];
    }
    let left = random() * total;
    chosen = 0;
    for (; chosen < rows - 1; chosen++) {
      left -= nearest[chosen];
      if (left <= 0) break;
    }
  }
  return centres;
}

function lloyd(x: Float32Array, width: number, centres: Float32Array, iterations: number): Clusters {
  const [rows, k] = [x.length / width, centres.length / width];
  const assignment = new Int32Array(rows).fill(-1);
  let inertia = 0;
  for (let round = 0; round < iterations; round++) {
    const from = distances(x, centres, width);
    let changed = 0;
    inertia = 0;
    for (let i = 0; i < rows; i++) {
      let best = 0;
      for (let j = 1; j < k; j++) if (from[i * k + j] < from[i * k + best]) best = j;
      changed += Number(assignment[i] !== best);
      assignment[i] = best;
      inertia += from[i * k + best];
    }
    if (changed === 0) break;
    const sums = new Float64Array(k * width);
    const counts = new Int32Array(k);
    for (let i = 0; i < rows; i++) {
      counts[assignment[i]]++;
      for (let c = 0; c < width; c++) sums[assignment[i] * width + c] += x[i * width + c];
    }
    for (let j = 0; j < k; j++) {
      // A cluster that lost all its rows stays where it was.
      if (counts[j] > 0) for (let c = 0; c < width; c++) centres[j * width + c] = sums[j * width + c] / counts[j];
    }
  }
  return { assignment, centres, inertia };
}

/**
 * Clusters rows by squared distance.
 *
 * @param x [rows, width]
 * @throws INVALID_OPTION unless there are as many rows as clusters
 */
export function kMeans(x: Float32Array, width: number, k: number, options: KMeansOptions = {}): Clusters {
  const { starts = 3, iterations = 100, seed = 1 } = options;
  const rows = x.length / width;
  if (!(Number.isInteger(k) && k >= 1 && k <= rows)) {
    throw new ClozeError("INVALID_OPTION", "The number of clusters is out of range", {
      expected: `1 to ${rows}`,
      received: String(k),
    });
  }
  return Array.from({ length: starts }, (_, start) =>
    lloyd(x, width, startCentres(x, width, k, randomSource(seed, start)), iterations),
  ).reduce((best, one) => (one.inertia < best.inertia ? one : best));
}
