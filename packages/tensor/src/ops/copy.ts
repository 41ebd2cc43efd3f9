// Copies of elements, without history.
import { noGrad } from "../graph.js";
import { scope } from "../memory.js";
import { checkShape, formatShape, sameShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { contiguous } from "./movement.js";

/**
 * Writes the elements of one tensor over those of another.
 *
 * @throws SHAPE_MISMATCH when they differ in shape or type, or the target is a view with gaps
 */
export function copyInto(target: Tensor, source: Tensor): void {
  const describe = ({ dtype, shape }: Tensor): string => `${dtype} ${formatShape(shape)}`;
  const fits = target.contiguous && target.dtype === source.dtype && sameShape(target.shape, source.shape);
  checkShape(fits, "copyInto", describe(target), describe(source));
  noGrad(() =>
    scope(() => {
      const from = contiguous(source);
      if (target.size > 0) target.storage.backend.copy(from.pointer, target.pointer, target.size, target.dtype);
    }),
  );
  target.markWritten();
}

/** A tensor of its own with the same elements; no gradient flows back from it. */
export function copyOf(source: Tensor): Tensor {
  const copy = empty(source.shape, source.dtype);
  copyInto(copy, source);
  return copy;
}
