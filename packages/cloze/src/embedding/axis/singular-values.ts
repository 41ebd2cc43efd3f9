// Singular value decomposition by rotations of pairs (one-sided Jacobi).
import { ClozeError } from "../../errors.js";

/** `matrix = left · diag(values) · rightᵀ`, without `left`. */
export interface SingularValues {
  /** Largest first, as many as the smaller side of the matrix. */
  readonly values: Float64Array;
  /** The right singular vector of each value, of length 1; zeros where the value is nothing but rounding. */
  readonly right: readonly Float64Array[];
}

const dot = (a: Float64Array, b: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};

/** Rotates two vectors by an angle. */
function rotate(a: Float64Array, b: Float64Array, cosine: number, sine: number): void {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i], b[i]];
    a[i] = cosine * x - sine * y;
    b[i] = sine * x + cosine * y;
  }
}

const sweeps = 60;

/**
 * Makes vectors orthogonal to each other by plane rotations, in place; `beside` are rotated in the same way.
 *
 * @throws NOT_CONVERGED after 60 sweeps (ten are usual)
 */
function orthogonalise(vectors: readonly Float64Array[], beside?: readonly Float64Array[]): void {
  for (let sweep = 0; sweep < sweeps; sweep++) {
    let rotated = false;
    const squares = vectors.map((vector) => dot(vector, vector));
    // What is this small beside the largest is rounding, whose angles never settle.
    const nothing = Math.max(...squares) * 1e-30;
    for (let i = 0; i < vectors.length; i++) {
      for (let j = i + 1; j < vectors.length; j++) {
        if (squares[i] <= nothing || squares[j] <= nothing) continue;
        const product = dot(vectors[i], vectors[j]);
        if (Math.abs(product) <= 1e-14 * Math.sqrt(squares[i] * squares[j])) continue;
        rotated = true;
        const ratio = (squares[j] - squares[i]) / (2 * product);
        const tangent = Math.sign(ratio || 1) / (Math.abs(ratio) + Math.hypot(1, ratio));
        const cosine = 1 / Math.hypot(1, tangent);
        rotate(vectors[i], vectors[j], cosine, cosine * tangent);
        if (beside !== undefined) rotate(beside[i], beside[j], cosine, cosine * tangent);
        squares[i] = dot(vectors[i], vectors[i]);
        squares[j] = dot(vectors[j], vectors[j]);
      }
    }
    if (!rotated) return;
  }
  throw new ClozeError("NOT_CONVERGED", "The singular values were not found", {
    expected: `orthogonal vectors after ${sweeps} sweeps`,
    remedy: "Look for numbers that are not finite among the vectors.",
  });
}

const unitOf = (vector: Float64Array, length: number): Float64Array => vector.map((value) => value / length);

/**
 * Singular values and right singular vectors of a matrix, in double precision. Whichever side is smaller is rotated, so
 * that 64 vectors of 1,024 numbers cost 64² · 1,024 multiplications a sweep.
 *
 * @param matrix rows of equal length
 * @throws NOT_CONVERGED
 * @example
 * const { values, right } = singularValues([Float64Array.of(3, 0), Float64Array.of(0, 4)]); // values: [4, 3]
 */
export function singularValues(matrix: readonly Float64Array[]): SingularValues {
  const [rows, columns] = [matrix.length, matrix[0]?.length ?? 0];
  const wide = rows <= columns;
  const vectors = wide
    ? matrix.map((row) => row.slice())
    : Array.from({ length: columns }, (_, c) => Float64Array.from(matrix, (row) => row[c]));
  const turned = wide
    ? undefined
    : vectors.map((_, c) => Float64Array.from({ length: columns }, (_, i) => Number(i === c)));
  orthogonalise(vectors, turned);
  const lengths = vectors.map((vector) => Math.sqrt(dot(vector, vector)));
  const order = Array.from(lengths.keys()).sort((a, b) => lengths[b] - lengths[a]);
  const nothing = 1e-12 * (lengths[order[0]] ?? 0);
  return {
    values: Float64Array.from(order, (i) => lengths[i]),
    right: order.map((i) => {
      if (turned !== undefined) return turned[i];
      return lengths[i] > nothing ? unitOf(vectors[i], lengths[i]) : new Float64Array(columns);
    }),
  };
}
