// Principal component analysis: the directions in which vectors differ most.
import { ClozeError } from "../../errors.js";
import { singularValues } from "./singular-values.js";

/** Where vectors lie and how they spread. */
export interface PrincipalComponents {
  /** [width] */
  readonly mean: Float64Array;
  /** Of length 1 and orthogonal to each other, the most telling first; their signs mean nothing. [components, width] */
  readonly components: readonly Float64Array[];
  /** Variance of the vectors along each component, with n - 1 as in scikit-learn. [components] */
  readonly variances: Float64Array;
  /** The same as shares of the whole variance. [components] */
  readonly shares: Float64Array;
}

/** Place of a vector along a component. */
export function coordinate(vector: ArrayLike<number>, { mean, component }: CoordinateSystem): number {
  let sum = 0;
  for (let i = 0; i < component.length; i++) sum += (vector[i] - mean[i]) * component[i];
  return sum;
}

interface CoordinateSystem {
  readonly mean: ArrayLike<number>;
  readonly component: ArrayLike<number>;
}

/**
 * Principal components of vectors by singular values of the centred matrix, without whitening.
 *
 * @param vectors rows of equal length, at least two
 * @param count how many components
 * @throws INVALID_OPTION where the vectors have not so many independent directions; NOT_CONVERGED
 * @example
 * const { components, shares } = principalComponents(vectors, 5);
 */
export function principalComponents(vectors: readonly Float64Array[], count: number): PrincipalComponents {
  const width = vectors[0]?.length ?? 0;
  const mean = new Float64Array(width);
  for (const vector of vectors) for (let c = 0; c < width; c++) mean[c] += vector[c] / vectors.length;
  const centred = vectors.map((vector) => vector.map((value, c) => value - mean[c]));
  const { values, right } = singularValues(centred);
  const scale = Math.max(0, ...vectors.map((vector) => Math.hypot(...vector)));
  // Of n centred vectors n - 1 are independent; what is left beyond is rounding.
  const found = values.filter((value) => value > 1e-7 * scale).length;
  if (!(count >= 1 && count <= found)) {
    throw new ClozeError("INVALID_OPTION", "There are not so many principal components", {
      expected: `1 to ${found}, the independent directions of ${vectors.length} vectors`,
      received: String(count),
      remedy: "Ask for fewer, or give more phrases that differ.",
    });
  }
  const variances = values.map((value) => value ** 2 / (vectors.length - 1));
  const whole = variances.reduce((sum, value) => sum + value, 0);
  return {
    mean,
    components: right.slice(0, count),
    variances: variances.slice(0, count),
    shares: variances.slice(0, count).map((value) => value / whole),
  };
}
