// Rotary positions and gated activations: one native call each way, and the formulas they stand for.
import { type ActivationName, activationCode } from "../backend/contract/network.js";
import { backend } from "../backend/index.js";
import { isComposing, record } from "../graph.js";
import { checkShape, formatShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { activation } from "./activation.js";
import { add, mul, sub } from "./elementwise.js";
import { concat, contiguous, reshape, slice } from "./movement.js";

export interface RotaryOptions {
  /** Groups of columns to turn, from the left; the columns after them stay. */
  heads: number;
  /** Columns of a group. */
  size: number;
  /** A pair is (2i, 2i + 1) instead of (i, i + size / 2). Default false. */
  interleaved?: boolean;
}

function composedRotary(
  x: Tensor,
  cosines: Tensor,
  sines: Tensor,
  { heads, size, interleaved = false }: RotaryOptions,
) {
  const [rows, columns] = x.shape;
  const half = size / 2;
  const turned = reshape(
    contiguous(slice(x, [{}, { end: heads * size }])),
    interleaved ? [rows, heads, half, 2] : [rows, heads, 2, half],
  );
  const pair = interleaved ? 3 : 2;
  const part = (i: number) =>
    reshape(
      contiguous(
        slice(
          turned,
          Array.from({ length: 4 }, (_, axis) => (axis === pair ? { start: i, end: i + 1 } : {})),
        ),
      ),
      [rows, heads, half],
    );
  const [a, b] = [part(0), part(1)];
  const [c, s] = [cosines, sines].map((table) => reshape(table, [rows, 1, half]));
  const shape = interleaved ? [rows, heads, half, 1] : [rows, heads, 1, half];
  const both = [sub(mul(a, c), mul(b, s)), add(mul(b, c), mul(a, s))].map((each) => reshape(each, shape));
  const result = reshape(contiguous(concat(both, pair)), [rows, heads * size]);
  return heads * size === columns ? result : concat([result, slice(x, [{}, { start: heads * size }])], 1);
}

/**
 * Rotary positions (arXiv 2104.09864): pair i of each head is turned by an angle.
 *
 * @param x [rows, columns]
 * @param cosines cosine of the angle of each pair. [rows, size / 2]
 * @param sines [rows, size / 2]
 * @throws SHAPE_MISMATCH
 * @example
 * const turned = rotary(qkv, cosines, sines, { heads: 2 * heads, size }); // queries and keys, not values
 */
export function rotary(x: Tensor, cosines: Tensor, sines: Tensor, options: RotaryOptions): Tensor {
  const { heads, size, interleaved = false } = options;
  checkShape(
    x.rank === 2 && x.shape[1] >= heads * size,
    "rotary",
    `x [rows, ${heads * size} or more]`,
    formatShape(x.shape),
  );
  checkShape(size % 2 === 0, "rotary", "an even size of heads", String(size));
  for (const table of [cosines, sines]) {
    const fits = table.rank === 2 && table.shape[0] === x.shape[0] && table.shape[1] === size / 2;
    checkShape(fits, "rotary", `angles [${x.shape[0]}, ${size / 2}]`, formatShape(table.shape));
  }
  if (isComposing()) return composedRotary(x, cosines, sines, options);
  const [source, c, s] = [x, cosines, sines].map(contiguous);
  const turn = (from: Tensor, direction: number): Tensor => {
    const y = empty(from.shape, from.dtype);
    const [rows, columns] = from.shape;
    if (y.size > 0) {
      backend().kernels.rotaryF32(
        from.pointer,
        c.pointer,
        s.pointer,
        null,
        y.pointer,
        rows,
        columns,
        heads,
        size,
        Number(interleaved),
        direction,
      );
    }
    return y;
  };
  return record({
    name: "rotary",
    inputs: [source],
    outputs: [turn(source, 1)],
    save: [c, s],
    differentiable: false,
    backward([g], { saved: [cosine, sine] }) {
      if (g === undefined) return [];
      const gradient = contiguous(g);
      const gx = empty(gradient.shape, gradient.dtype);
      const [rows, columns] = gradient.shape;
      if (gx.size > 0) {
        backend().kernels.rotaryF32(
          gradient.pointer,
          cosine.pointer,
          sine.pointer,
          null,
          gx.pointer,
          rows,
          columns,
          heads,
          size,
          Number(interleaved),
          -1,
        );
      }
      return [gx];
    },
  })[0];
}

/**
 * Half of the columns through an activation, times the other half (GLU and its kin, arXiv 2002.05202).
 *
 * @param x [rows, 2 width]
 * @returns [rows, width]
 * @throws SHAPE_MISMATCH
 */
export function gate(x: Tensor, name: ActivationName): Tensor {
  checkShape(x.rank === 2 && x.shape[1] % 2 === 0, "gate", "x [rows, 2 width]", formatShape(x.shape));
  const [rows, columns] = x.shape;
  const width = columns / 2;
  if (isComposing()) {
    return mul(activation(slice(x, [{}, { end: width }]), name), slice(x, [{}, { start: width }]));
  }
  const source = contiguous(x);
  const y = empty([rows, width], x.dtype);
  const code = activationCode[name];
  if (y.size > 0) backend().kernels.gateF32(code, source.pointer, y.pointer, rows, width);
  return record({
    name: "gate",
    inputs: [source],
    outputs: [y],
    save: [source],
    differentiable: false,
    backward([g], { saved: [before] }) {
      if (g === undefined) return [];
      const gradient = contiguous(g);
      const gx = empty(before.shape, before.dtype);
      if (gx.size > 0)
        backend().kernels.gateBackwardF32(code, before.pointer, gradient.pointer, gx.pointer, rows, width);
      return [gx];
    },
  })[0];
}
