// Normalisation of columns by the rows of a batch (batch normalisation, arXiv 1502.03167).
import { isComposing, noGrad, record } from "../graph.js";
import { scope } from "../memory.js";
import { checkShape, formatShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { add, mul, rsqrt, sub } from "./elementwise.js";
import { mean, sum } from "./reduce.js";

/** A normalised batch, and what it was normalised by. */
export interface NormalizedColumns {
  readonly y: Tensor;
  /** Without gradients. [columns] */
  readonly mean: Tensor;
  /** Of the rows, not of a sample. [columns] */
  readonly variance: Tensor;
}

/**
 * (x - mean) / sqrt(variance + epsilon) * weight + bias, mean and variance of each column over the rows. The gradient is one
 * formula, dx = scale (g - mean(g) - centred mean(g centred) / (variance + epsilon)) with scale = weight / sqrt(variance +
 * epsilon), which reads x a third as often as the composed one.
 *
 * @param x [rows, columns]
 * @param weight [columns]
 * @param bias [columns]
 * @throws SHAPE_MISMATCH
 */
export function normalizeColumns(x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): NormalizedColumns {
  checkShape(x.rank === 2, "normalizeColumns", "a matrix", formatShape(x.shape));
  const forward = () => {
    const centre = mean(x, [0]);
    const centred = sub(x, centre);
    const spread = mean(mul(centred, centred), [0]);
    const inverse = rsqrt(add(spread, epsilon));
    return [add(mul(centred, mul(weight, inverse)), bias), centre, spread, centred, inverse] as const;
  };
  if (isComposing()) {
    const [y, centre, spread] = forward();
    return { y, mean: centre.detach(), variance: spread.detach() };
  }
  const [y, centre, spread, centred, inverse] = scope(() => noGrad(forward));
  const rows = x.shape[0];
  const [output] = record({
    name: "normalizeColumns",
    inputs: [x, weight, bias],
    outputs: [y],
    save: [centred, inverse, weight],
    differentiable: false,
    backward: ([g], { saved, needs }) => {
      if (g === undefined) return [];
      const [off, scale, gamma] = saved;
      const ofBias = sum(g, [0]);
      const ofUnit = mul(sum(mul(g, off), [0]), scale); // of the weight
      if (!needs(0)) return [undefined, ofUnit, ofBias];
      const whole = mul(gamma, scale);
      const ofCentred = mul(mul(mul(whole, scale), ofUnit), -1 / rows);
      const shift = mul(mul(whole, ofBias), -1 / rows);
      return [add(add(mul(g, whole), mul(off, ofCentred)), shift), ofUnit, ofBias];
    },
  });
  return { y: output, mean: centre, variance: spread };
}
