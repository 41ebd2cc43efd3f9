// Normalisation of rows.
import { backend } from "../backend/index.js";
import { isComposing, record, wantsGrad } from "../graph.js";
import { checkShape, formatShape, sameShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { add, mul, rsqrt, sub } from "./elementwise.js";
import { contiguous } from "./movement.js";
import { mean, variance } from "./reduce.js";

export interface LayerNormOptions {
  /** Added to the variance. Default 1e-12, as BERT has it. */
  epsilon?: number;
  /** Added to x before normalising: layerNorm(x + residual) in one pass. */
  residual?: Tensor;
}

/** A gradient buffer for a vector parameter: the leaf's own where possible. */
interface VectorGradient {
  tensor: Tensor;
  accumulate: boolean;
  own: boolean;
}

/**
 * (x - mean) / sqrt(variance + epsilon) * weight + bias along the last axis (layer normalisation, arXiv 1607.06450).
 *
 * @param x [..., width]
 * @param weight [width]
 * @param bias [width] or undefined for none
 * @throws SHAPE_MISMATCH
 * @example
 * const y = layerNorm(x, weight, bias, { residual: before });
 */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor | undefined, options: LayerNormOptions = {}): Tensor {
  const { epsilon = 1e-12, residual } = options;
  const width = x.shape[x.rank - 1];
  const vector = (v: Tensor) => v.rank === 1 && v.shape[0] === width;
  checkShape(x.rank >= 1 && vector(weight), "layerNorm", `a weight [${width}]`, formatShape(weight.shape));
  checkShape(bias === undefined || vector(bias), "layerNorm", `a bias [${width}]`, formatShape(bias?.shape ?? []));
  checkShape(
    residual === undefined || sameShape(residual.shape, x.shape),
    "layerNorm",
    `a residual ${formatShape(x.shape)}`,
    formatShape(residual?.shape ?? []),
  );
  if (isComposing()) {
    const total = residual === undefined ? x : add(x, residual);
    const centred = sub(total, mean(total, [-1], true));
    const unit = mul(centred, rsqrt(add(variance(total, [-1], true), epsilon)));
    const scaled = mul(unit, weight);
    return bias === undefined ? scaled : add(scaled, bias);
  }
  const source = contiguous(x);
  const extra = residual && contiguous(residual);
  const [gamma, beta] = [contiguous(weight), bias && contiguous(bias)];
  const rows = width === 0 ? 0 : x.size / width;
  const inputs = [source, gamma, beta, extra].filter((input) => input !== undefined);
  const recording = wantsGrad(inputs);
  const statistics = empty([rows, 2], x.dtype);
  const total = extra !== undefined && recording ? empty(x.shape, x.dtype) : undefined;
  const normalized = (sums: Tensor, from: Tensor, gain: Tensor, shift?: Tensor, more?: Tensor): Tensor => {
    const y = empty(x.shape, x.dtype);
    if (y.size === 0) return y;
    backend().kernels.layerNormF32(
      from.pointer,
      more?.pointer ?? null,
      gain.pointer,
      shift?.pointer ?? null,
      y.pointer,
      more === undefined ? null : (total?.pointer ?? null),
      sums.pointer,
      rows,
      width,
      epsilon,
    );
    return y;
  };
  const biasInput = beta === undefined ? -1 : 2;
  const residualInput = extra === undefined ? -1 : inputs.length - 1;
  const [output] = record({
    name: "layerNorm",
    inputs,
    outputs: [normalized(statistics, source, gamma, beta, extra)],
    save: [total ?? source, statistics, gamma, ...(beta === undefined ? [] : [beta])],
    remake: ([from, sums, gain, shift]) => normalized(sums, from, gain, shift),
    differentiable: false,
    backward([g], { saved, needs, leafGradient }) {
      if (g === undefined) return [];
      const gradient = contiguous(g);
      const gx = empty(x.shape, x.dtype);
      const forVector = (input: number): VectorGradient | undefined => {
        if (input < 0 || !needs(input)) return undefined;
        const leaf = leafGradient(input);
        if (leaf === undefined) return { tensor: empty([width], x.dtype), accumulate: false, own: false };
        return { tensor: leaf.tensor, accumulate: !leaf.fresh, own: true };
      };
      const [forGamma, forBeta] = [forVector(1), forVector(biasInput)];
      if (rows > 0) {
        backend().kernels.layerNormBackwardF32(
          saved[0].pointer,
          saved[1].pointer,
          saved[2].pointer,
          gradient.pointer,
          gx.pointer,
          forGamma?.tensor.pointer ?? null,
          forBeta?.tensor.pointer ?? null,
          rows,
          width,
          Number(forGamma?.accumulate ?? false),
          Number(forBeta?.accumulate ?? false),
        );
      } else {
        for (const vector of [forGamma, forBeta]) {
          if (vector?.accumulate === false) backend().kernels.fillF32(vector.tensor.pointer, 0, width);
        }
      }
      const results: (Tensor | undefined)[] = inputs.map(() => undefined);
      if (needs(0)) results[0] = gx;
      if (residualInput >= 0 && needs(residualInput)) results[residualInput] = gx;
      if (forGamma?.own === false) results[1] = forGamma.tensor;
      if (forBeta?.own === false) results[biasInput] = forBeta.tensor;
      return results;
    },
  });
  statistics.dispose();
  total?.dispose();
  return output;
}

/**
 * x / sqrt(mean(x²) + epsilon) * weight along the last axis (arXiv 1910.07467).
 *
 * @param x [..., width]
 * @param weight [width]
 */
export function rmsNorm(x: Tensor, weight: Tensor, { epsilon = 1e-6 }: { epsilon?: number } = {}): Tensor {
  const width = x.shape[x.rank - 1];
  checkShape(
    weight.rank === 1 && weight.shape[0] === width,
    "rmsNorm",
    `a weight [${width}]`,
    formatShape(weight.shape),
  );
  return mul(mul(x, rsqrt(add(mean(mul(x, x), [-1], true), epsilon))), weight);
}
