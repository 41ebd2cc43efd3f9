// Convolutions from padding, gathered rows and one matrix product (im2col); gradients come with the parts.
import { ClozeError } from "../errors.js";
import { scope } from "../memory.js";
import { checkShape, elementCount, formatShape, type Shape } from "../shape.js";
import { type Tensor, tensor } from "../tensor.js";
import { add, mul } from "./elementwise.js";
import { matmul } from "./matmul.js";
import { pad, permute, reshape } from "./movement.js";
import { sum } from "./reduce.js";
import { take } from "./rows.js";

/** One number for all axes, or one per axis of space. */
type PerAxis = number | readonly number[];

export interface ConvolutionOptions {
  /** Added to each output channel: [out]. Default none. */
  bias?: Tensor;
  /** Step between outputs. Default 1. */
  stride?: PerAxis;
  /** Zeros on both sides, or "same": as many as keep the size (with stride 1), one more at the end if odd. Default 0. */
  padding?: PerAxis | "same";
  /** Step between the taps of the kernel. Default 1. */
  dilation?: PerAxis;
  /** Parts that the channels are cut into; each sees its own inputs only. Default 1. */
  groups?: number;
  /** Where the channels of x and of the result stand: right after the batch (PyTorch), or last. Default "first". */
  channels?: "first" | "last";
}

interface Axis {
  size: number;
  taps: number;
  stride: number;
  dilation: number;
  padding: readonly [number, number];
  /** Number of outputs. */
  outputs: number;
}

function numbers(operation: string, name: string, value: PerAxis, count: number, least: number): readonly number[] {
  const list = typeof value === "number" ? new Array<number>(count).fill(value) : value;
  if (list.length === count && list.every((item) => Number.isSafeInteger(item) && item >= least)) return list;
  throw new ClozeError("INVALID_OPTION", `${operation}: ${name} is out of range`, {
    expected: `one whole number of at least ${least}, or ${count} of them`,
    received: JSON.stringify(value),
  });
}

function planAxes(operation: string, sizes: Shape, taps: Shape, options: ConvolutionOptions): Axis[] {
  const { length } = sizes;
  const strides = numbers(operation, "stride", options.stride ?? 1, length, 1);
  const dilations = numbers(operation, "dilation", options.dilation ?? 1, length, 1);
  const same = options.padding === "same";
  const paddings = numbers(operation, "padding", options.padding === "same" ? 0 : (options.padding ?? 0), length, 0);
  return sizes.map((size, i) => {
    const reach = dilations[i] * (taps[i] - 1);
    const before = same ? Math.floor(reach / 2) : paddings[i];
    const after = same ? reach - before : paddings[i];
    const room = size + before + after - reach - 1;
    if (taps[i] < 1 || room < 0) {
      throw new ClozeError("SHAPE_MISMATCH", `${operation}: the kernel does not fit into the padded input`, {
        expected: `at least ${reach + 1} places along axis ${i} of space`,
        received: `${size} and ${before + after} of padding, for ${taps[i]} taps`,
        remedy: 'Pass padding: "same", or a smaller kernel or dilation.',
      });
    }
    const outputs = Math.floor(room / strides[i]) + 1;
    return { size, taps: taps[i], stride: strides[i], dilation: dilations[i], padding: [before, after], outputs };
  });
}

/** Each place, followed by those `step`, 2 `step`, ... further on, `count` in all. */
function spread(places: Int32Array, count: number, step: number): Int32Array {
  const result = new Int32Array(places.length * count);
  for (let i = 0; i < places.length; i++) {
    for (let j = 0; j < count; j++) result[i * count + j] = places[i] + j * step;
  }
  return result;
}

/** For each image, output and tap: the row of [batch x padded space, channels] that it reads. */
function gatheredRows(batch: number, axes: readonly Axis[]): Int32Array {
  const extents = axes.map(({ size, padding }) => size + padding[0] + padding[1]);
  const weights = extents.map((_, axis) => elementCount(extents.slice(axis + 1)));
  let rows = spread(Int32Array.of(0), batch, elementCount(extents));
  for (const [i, { outputs, stride }] of axes.entries()) rows = spread(rows, outputs, stride * weights[i]);
  for (const [i, { taps, dilation }] of axes.entries()) rows = spread(rows, taps, dilation * weights[i]);
  return rows;
}

const channelsLast = (x: Tensor): Tensor => permute(x, [0, ...x.shape.slice(2).map((_, i) => i + 2), 1]);
const channelsFirst = (x: Tensor): Tensor => permute(x, [0, x.rank - 1, ...x.shape.slice(2).map((_, i) => i + 1)]);

function convolve(operation: string, space: number, x: Tensor, weight: Tensor, options: ConvolutionOptions): Tensor {
  const { bias, channels = "first" } = options;
  const [groups] = numbers(operation, "groups", options.groups ?? 1, 1, 1);
  const names = space === 1 ? "length" : "height, width";
  checkShape(
    x.rank === space + 2,
    operation,
    channels === "first" ? `x [batch, channels, ${names}]` : `x [batch, ${names}, channels]`,
    formatShape(x.shape),
  );
  checkShape(
    weight.rank === space + 2,
    operation,
    `a kernel [out channels, in channels / groups, ${names}]`,
    formatShape(weight.shape),
  );
  const input = channels === "first" ? channelsLast(x) : x;
  const [batch, width] = [x.shape[0], input.shape[space + 1]];
  const [outputs, perGroup] = weight.shape;
  if (perGroup * groups !== width || outputs % groups !== 0) {
    throw new ClozeError("SHAPE_MISMATCH", `${operation}: channels, groups and kernel do not fit`, {
      expected: `a kernel [a multiple of ${groups}, ${width / groups}, ...] for ${width} channels in ${groups} groups`,
      received: formatShape(weight.shape),
      remedy: 'A kernel is [out, in / groups, ...]; pass channels: "last" if those of x stand last.',
    });
  }
  if (bias !== undefined)
    checkShape(bias.rank === 1 && bias.size === outputs, operation, `bias [${outputs}]`, formatShape(bias.shape));
  const axes = planAxes(operation, input.shape.slice(1, -1), weight.shape.slice(2), options);
  const padded = axes.some(({ padding: [before, after] }) => before + after > 0)
    ? pad(input, [[0, 0], ...axes.map(({ padding }) => padding), [0, 0]])
    : input;

  const taps = elementCount(weight.shape.slice(2));
  const positions = batch * elementCount(axes.map((axis) => axis.outputs));
  // [positions, taps, channels]
  const rows = reshape(padded, [elementCount(padded.shape.slice(0, -1)), width]);
  const patches = reshape(take(rows, tensor(gatheredRows(batch, axes))), [positions, taps, width]);
  const kernel = permute(reshape(weight, [outputs, perGroup, taps]), [2, 1, 0]); // [taps, in / groups, out]
  let y: Tensor;
  if (groups === 1) {
    y = matmul(reshape(patches, [positions, taps * width]), reshape(kernel, [taps * width, outputs]));
  } else if (perGroup === 1 && outputs === groups) {
    y = sum(mul(patches, reshape(kernel, [taps, outputs])), [1]);
  } else {
    const perOutput = outputs / groups;
    const byGroup = permute(reshape(patches, [positions, taps, groups, perGroup]), [2, 0, 1, 3]);
    const kernels = permute(reshape(kernel, [taps, perGroup, groups, perOutput]), [2, 0, 1, 3]);
    const products = matmul(
      reshape(byGroup, [groups, positions, taps * perGroup]),
      reshape(kernels, [groups, taps * perGroup, perOutput]),
    );
    y = reshape(permute(products, [1, 0, 2]), [positions, outputs]);
  }
  if (bias !== undefined) y = add(y, bias);
  const shaped = reshape(y, [batch, ...axes.map((axis) => axis.outputs), outputs]);
  return channels === "first" ? channelsFirst(shaped) : shaped;
}

/**
 * A convolution along one axis (as in PyTorch, the kernel is not turned around).
 * x: [batch, in, length], kernel: [out, in / groups, taps] -> [batch, out, places]; with `channels: "last"`
 * [batch, length, in] -> [batch, places, out].
 *
 * @throws SHAPE_MISMATCH, INVALID_OPTION
 * @example
 * const y = conv1d(hidden, kernel, { bias, padding: "same", channels: "last" }); // [1, tokens, hidden]
 */
export function conv1d(x: Tensor, kernel: Tensor, options: ConvolutionOptions = {}): Tensor {
  return scope(() => convolve("conv1d", 1, x, kernel, options));
}

/**
 * A convolution over two axes. x: [batch, in, height, width], kernel: [out, in / groups, rows, columns] ->
 * [batch, out, height', width']; with `channels: "last"` [batch, height, width, in] -> [batch, height', width', out].
 *
 * @throws SHAPE_MISMATCH, INVALID_OPTION
 * @example
 * const patches = conv2d(image, kernel, { stride: 16 }); // ViT's patches: kernel [768, 3, 16, 16]
 */
export function conv2d(x: Tensor, kernel: Tensor, options: ConvolutionOptions = {}): Tensor {
  return scope(() => convolve("conv2d", 2, x, kernel, options));
}
