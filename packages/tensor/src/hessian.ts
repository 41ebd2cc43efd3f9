// Second derivatives of a loss along given directions, without ever forming the matrix of them.
import { grad } from "./autograd.js";
import { ClozeError } from "./errors.js";
import { composed, enableGrad } from "./graph.js";
import { scope } from "./memory.js";
import { checkShape, formatShape, sameShape } from "./shape.js";
import type { Tensor } from "./tensor.js";

/**
 * The Hessian of a loss times vectors: one vector per parameter, and one result per parameter, of its shape. Costs about
 * two backward passes and the memory of one that is recorded; fused operations run as their composed definitions. Neither
 * `grad` of the parameters nor their values change.
 *
 * The loss is computed once, with the parameters as they are; it must be deterministic for repeated products to belong to
 * one matrix (no dropout, or a fixed seed).
 *
 * @throws NO_GRAPH, SHAPE_MISMATCH
 * @example
 * // Power iteration: the largest curvature.
 * let v = parameters.map((p) => randomNormal(p.shape, { seed: 1 }));
 * const product = hessianVectorProduct((w) => loss(model, w, batch), parameters, v);
 */
export function hessianVectorProduct(
  loss: (parameters: readonly Tensor[]) => Tensor,
  parameters: readonly Tensor[],
  vectors: readonly Tensor[],
): Tensor[] {
  const operation = "hessianVectorProduct";
  checkShape(vectors.length === parameters.length, operation, `${parameters.length} vectors`, String(vectors.length));
  parameters.forEach((parameter, i) => {
    if (!parameter.requiresGrad) {
      throw new ClozeError("NO_GRAPH", `${operation}: parameter ${i} wants no gradient`, {
        remedy: "Call requireGrad() on it, or leave it out.",
      });
    }
    checkShape(
      sameShape(parameter.shape, vectors[i].shape),
      operation,
      `vector ${i} ${formatShape(parameter.shape)}`,
      formatShape(vectors[i].shape),
    );
  });
  return scope(() =>
    composed(() =>
      enableGrad(() => {
        const value = loss(parameters);
        checkShape(value.size === 1, operation, "a loss of one number", formatShape(value.shape));
        const gradients = grad([value], parameters, { createGraph: true });
        return grad(gradients, parameters, { gradients: vectors });
      }),
    ),
  );
}
