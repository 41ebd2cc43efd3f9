import { ClozeError } from "./errors.js";

/** Sizes of the axes, outermost first. A scalar has shape []. */
export type Shape = readonly number[];

export const elementCount = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);

export const formatShape = (shape: Shape): string => `[${shape.join(", ")}]`;

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((size, i) => size === b[i]);

/** Strides, in elements, of a contiguous array of that shape. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

export function isContiguous(shape: Shape, strides: readonly number[]): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return false;
    step *= shape[axis];
  }
  return true;
}

/** The shape that two broadcast to, or SHAPE_MISMATCH. Axes align at the end; a size of 1 stretches. */
export function broadcastShapes(operation: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  const result = new Array<number>(rank);
  for (let axis = 0; axis < rank; axis++) {
    const sizeA = a[axis - rank + a.length] ?? 1;
    const sizeB = b[axis - rank + b.length] ?? 1;
    if (sizeA !== sizeB && sizeA !== 1 && sizeB !== 1) {
      throw new ClozeError("SHAPE_MISMATCH", `${operation}: shapes do not broadcast`, {
        expected: `sizes equal or 1 on axis ${axis - rank}`,
        received: `${formatShape(a)} and ${formatShape(b)}`,
        remedy: "Reshape one of them, or insert an axis of size 1 where it should stretch.",
      });
    }
    result[axis] = sizeA === 1 ? sizeB : sizeA;
  }
  return result;
}

/** Turns an axis that may count from the end into one that counts from the front, or AXIS_OUT_OF_RANGE. */
export function normalizeAxis(operation: string, axis: number, rank: number): number {
  const normalized = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normalized < 0 || normalized >= rank) {
    throw new ClozeError("AXIS_OUT_OF_RANGE", `${operation}: no such axis`, {
      expected: `an integer from ${-rank} to ${rank - 1}`,
      received: String(axis),
    });
  }
  return normalized;
}

/** Throws SHAPE_MISMATCH unless the condition holds. `describe` is called only when it does not. */
export function checkShape(condition: boolean, operation: string, expected: string, received: string): void {
  if (!condition) {
    throw new ClozeError("SHAPE_MISMATCH", `${operation}: wrong shape`, {
      expected,
      received,
      remedy: "Check the order of the axes; reshape or permute where needed.",
    });
  }
}

/** Throws INVALID_SHAPE unless every size is a whole number of at least 0. */
export function validateShape(operation: string, shape: Shape): void {
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new ClozeError("INVALID_SHAPE", `${operation}: sizes are whole numbers of at least 0`, {
        received: formatShape(shape),
      });
    }
  }
}
