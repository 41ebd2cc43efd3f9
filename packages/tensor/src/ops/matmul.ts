// Matrix products. Transposed views run without copies: the kernel takes strides.
import { backend } from "../backend/index.js";
import { record } from "../graph.js";
import { broadcastShapes, checkShape, elementCount, formatShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { broadcastTo, contiguous, reshape, sumTo, transpose } from "./movement.js";

/** True when one of the last two axes runs through memory step by step. */
const hasUnitAxis = (x: Tensor): boolean => x.strides[x.rank - 1] === 1 || x.strides[x.rank - 2] === 1;

/** into = a b + beta into, for operands with a unit axis. Not recorded. */
export function product(a: Tensor, b: Tensor, into: Tensor, beta: number): void {
  const [m, n] = into.shape.slice(-2);
  const k = a.shape[a.rank - 1];
  const batch = elementCount(into.shape.slice(0, -2));
  const step = (x: Tensor) => (x.rank > 2 ? x.strides[x.rank - 3] : 0);
  backend().kernels.matmulF32(
    a.pointer,
    b.pointer,
    into.pointer,
    batch,
    m,
    n,
    k,
    step(a),
    step(b),
    m * n,
    a.strides[a.rank - 2],
    a.strides[a.rank - 1],
    b.strides[b.rank - 2],
    b.strides[b.rank - 1],
    n,
    1,
    beta,
  );
}

/** An operand as [m, k] or [batch, m, k] that the kernel can read. */
export function operand(x: Tensor, batch: readonly number[]): Tensor {
  const readable = hasUnitAxis(x) ? x : contiguous(x);
  if (x.rank === 2) return readable;
  // One leading axis that need not be spread: the kernel takes its step too.
  if (x.rank === 3 && batch.length === 1 && batch[0] === x.shape[0]) return readable;
  const whole = contiguous(broadcastTo(readable, [...batch, ...x.shape.slice(-2)]));
  return reshape(whole, [-1, ...x.shape.slice(-2)]);
}

/**
 * The matrix product over the last two axes: [..., m, k] x [..., k, n] -> [..., m, n]; leading axes broadcast.
 *
 * @throws SHAPE_MISMATCH
 * @example
 * const y = matmul(x, transpose(w)); // [tokens, in] x [out, in]^T
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  checkShape(
    a.rank >= 2 && b.rank >= 2,
    "matmul",
    "at least two axes on both sides",
    `${formatShape(a.shape)} and ${formatShape(b.shape)}`,
  );
  const k = a.shape[a.rank - 1];
  checkShape(
    k === b.shape[b.rank - 2],
    "matmul",
    `inner sizes equal`,
    `${formatShape(a.shape)} and ${formatShape(b.shape)}`,
  );
  const batch = broadcastShapes("matmul", a.shape.slice(0, -2), b.shape.slice(0, -2));
  const shape = [...batch, a.shape[a.rank - 2], b.shape[b.rank - 1]];
  const left = operand(a.detach(), batch);
  const right = operand(b.detach(), batch);
  const y = empty(shape, a.dtype);
  if (y.size > 0) product(left, right, y, 0);
  left.dispose();
  right.dispose();
  return record({
    name: "matmul",
    inputs: [a, b],
    outputs: [y],
    // The gradient of each side looks at the other one only.
    save: [...(b.requiresGrad ? [a] : []), ...(a.requiresGrad ? [b] : [])],
    backward([g], { saved, needs, leafGradient }) {
      if (g === undefined) return [];
      const [x, w] = [saved[0], saved[saved.length - 1]];
      const side = (
        index: number,
        p: () => Tensor,
        q: () => Tensor,
        shapeOf: readonly number[],
      ): Tensor | undefined => {
        if (!needs(index)) return undefined;
        // A two-dimensional leaf takes the product straight into its gradient.
        const leaf = shapeOf.length === 2 && g.rank === 2 ? leafGradient(index) : undefined;
        if (leaf === undefined) return sumTo(matmul(p(), q()), shapeOf);
        const first = operand(p(), []);
        const second = operand(q(), []);
        if (leaf.tensor.size > 0) product(first, second, leaf.tensor, leaf.fresh ? 0 : 1);
        leaf.leaf.touchedRows = undefined;
        return undefined;
      };
      return [
        side(
          0,
          () => g,
          () => transpose(w),
          a.shape,
        ),
        side(
          1,
          () => transpose(x),
          () => g,
          b.shape,
        ),
      ];
    },
  })[0];
}
