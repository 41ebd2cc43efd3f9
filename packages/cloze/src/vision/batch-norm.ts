// Batch normalisation over active places (arXiv 1502.03167): those without a row count neither for mean nor for variance.
import { add, mixInPlace, mul, noGrad, normalizeColumns, rsqrt, scope, sub, type Tensor } from "@cloze/tensor";

/** What a normalisation keeps beside its weight and bias; written while training. [channels] */
export interface RunningStatistics {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

export interface BatchNormOptions {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly running: RunningStatistics;
  /** True: statistics of these rows, which move the running ones; false: the running ones. */
  readonly training: boolean;
  /** Default 1e-5. */
  readonly epsilon?: number;
  /** Share of the new in the running statistics. Default 0.1. */
  readonly momentum?: number;
}

function moveRunning(running: RunningStatistics, mean: Tensor, variance: Tensor, rows: number, share: number): void {
  noGrad(() =>
    scope(() => {
      mixInPlace(running.mean, mean, share);
      // As PyTorch: the running variance is that of a sample.
      mixInPlace(running.variance, mul(variance, rows / Math.max(1, rows - 1)), share);
    }),
  );
}

/**
 * (x - mean) / sqrt(variance + epsilon) * weight + bias, mean and variance of each channel over the rows.
 *
 * @param x [rows, channels]: the active places of all images
 */
export function batchNorm(x: Tensor, options: BatchNormOptions): Tensor {
  const { weight, bias, running, training, epsilon = 1e-5, momentum = 0.1 } = options;
  if (!training) {
    const scale = mul(weight, rsqrt(add(running.variance, epsilon)));
    return add(mul(x, scale), sub(bias, mul(running.mean, scale)));
  }
  const { y, mean, variance } = normalizeColumns(x, weight, bias, epsilon);
  moveRunning(running, mean, variance, x.shape[0], momentum);
  return y;
}
