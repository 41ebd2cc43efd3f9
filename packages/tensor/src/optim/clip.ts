// The length of the gradient, and keeping it in bounds.
import { backend } from "../backend/index.js";
import { ClozeError } from "../errors.js";
import { contiguousCopy, type Tensor } from "../tensor.js";
import { checkOption } from "./optimizer.js";
import { touchedRows } from "./touched-rows.js";

/**
 * The Euclidean length of all gradients together, summed in double precision in an order that does not depend on threads.
 * NaN or infinite when a gradient is. Tables whose gradient touches few rows are read on these rows only.
 */
export function gradientNorm(parameters: Iterable<Tensor>): number {
  const { kernels } = backend();
  let total = 0;
  for (const parameter of new Set(parameters)) {
    const { grad } = parameter;
    if (grad === undefined || grad.size === 0) continue;
    const touched = touchedRows(parameter);
    if (touched !== undefined) {
      total += kernels.sumSquaresRowsF32(grad.pointer, touched.rows, touched.count, touched.width);
      continue;
    }
    const source = grad.contiguous ? grad : contiguousCopy(grad);
    total += kernels.sumSquaresF32(source.pointer, source.size);
    if (source !== grad) source.dispose();
  }
  return Math.sqrt(total);
}

/** What gradients of that length are multiplied by so that they are at most `maximumNorm` long (as PyTorch: 1e-6 added). */
export const clipFactor = (norm: number, maximumNorm: number): number =>
  Number.isFinite(norm) ? Math.min(1, maximumNorm / (norm + 1e-6)) : 1;

export interface ClipOptions {
  /** Throw GRADIENT_NOT_FINITE instead of returning a NaN or infinite norm. Default false. */
  errorIfNotFinite?: boolean;
}

/**
 * Scales all gradients so that together they are at most `maximumNorm` long; returns the length they had. Gradients whose
 * length is NaN or infinite stay as they are: check the result, or ask for an error.
 *
 * To save the pass over memory, give `clipFactor(gradientNorm(parameters), maximumNorm)` to `step` instead.
 */
export function clipGradientNorm(
  parameters: Iterable<Tensor>,
  maximumNorm: number,
  { errorIfNotFinite = false }: ClipOptions = {},
): number {
  checkOption("maximumNorm", maximumNorm, 0);
  const list = new Set(parameters);
  const norm = gradientNorm(list);
  if (errorIfNotFinite && !Number.isFinite(norm)) {
    throw new ClozeError("GRADIENT_NOT_FINITE", "The gradient is NaN or infinite", {
      received: String(norm),
      remedy: "Lower the learning rate, lengthen the warm-up, or look at the batch.",
    });
  }
  const factor = clipFactor(norm, maximumNorm);
  if (factor === 1) return norm;
  const { kernels } = backend();
  for (const parameter of list) {
    const { grad } = parameter;
    if (grad === undefined || grad.size === 0) continue;
    const touched = touchedRows(parameter);
    if (touched !== undefined) kernels.scaleRowsF32(grad.pointer, touched.rows, touched.count, touched.width, factor);
    else if (grad.contiguous) kernels.addScaledF32(grad.pointer, grad.pointer, grad.size, factor, 0);
    else {
      throw new ClozeError("NOT_CONTIGUOUS", "A gradient to clip is a strided view", {
        remedy: "Set grad to a contiguous copy.",
      });
    }
    grad.markWritten();
  }
  return norm;
}
