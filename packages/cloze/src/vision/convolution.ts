// Convolutions on active places: submanifold convolutions (arXiv 1711.10275) where a mask says which are, usual ones where
// all are. Only active outputs are computed; inputs that are not active are zero. Kernels are PyTorch's.
import {
  add,
  concat,
  linear,
  matmul,
  max,
  mul,
  permute,
  reshape,
  scatterRows,
  slice,
  sum,
  type Tensor,
  take,
  tensor,
  zeros,
} from "@cloze/tensor";
import { type FeatureMap, outputLayout, type Window } from "./feature-map.js";

export interface ConvolveOptions {
  /** [out] */
  readonly bias?: Tensor;
  /** Default 1. */
  readonly stride?: number;
  /** Default: half the kernel, which keeps the size with stride 1. */
  readonly padding?: number;
}

const windowOf = (kernel: Tensor, { stride = 1, padding }: ConvolveOptions): Window => {
  const [high, wide] = kernel.shape.slice(-2);
  return { kernel: [high, wide], stride, padding: padding ?? Math.floor(high / 2) };
};

/** x with a row of zeros behind, which stands for places that are not there. [rows + 1, channels] */
const withZeroRow = (x: Tensor): Tensor => concat([x, zeros([1, x.shape[1]], x.dtype)], 0);

/** What each output's window sees. -> [outputs, places of the window, channels] */
function windows({ rows, layout }: FeatureMap, window: Window): FeatureMap {
  const to = outputLayout(layout, window);
  const places = window.kernel[0] * window.kernel[1];
  if (places === 1 && to === layout) return { rows: reshape(rows, [to.count, 1, rows.shape[1]]), layout: to };
  const table = tensor(layout.sources(to, window), [to.count, places]);
  return { rows: take(withZeroRow(rows), table), layout: to };
}

/**
 * A convolution whose outputs are the active places of the resolution that it gives.
 *
 * @param kernel [out, in, height, width]
 * @throws SHAPE_MISMATCH
 */
export function convolve(x: FeatureMap, kernel: Tensor, options: ConvolveOptions = {}): FeatureMap {
  const [outputs, inputs, high, wide] = kernel.shape;
  const seen = windows(x, windowOf(kernel, options));
  const weight = reshape(permute(kernel, [0, 2, 3, 1]), [outputs, high * wide * inputs]);
  const patches = reshape(seen.rows, [seen.layout.count, high * wide * inputs]);
  return { rows: linear(patches, weight, options.bias), layout: seen.layout };
}

/** A convolution of each channel by itself. kernel: [channels, 1, height, width] */
export function convolveDepthwise(x: FeatureMap, kernel: Tensor, options: ConvolveOptions = {}): FeatureMap {
  const [channels, , high, wide] = kernel.shape;
  const seen = windows(x, windowOf(kernel, options));
  const weight = permute(reshape(kernel, [channels, high * wide]), [1, 0]); // [places, channels]
  const rows = sum(mul(seen.rows, weight), [1]);
  return { rows: options.bias === undefined ? rows : add(rows, options.bias), layout: seen.layout };
}

/**
 * The largest value of each window. Places outside and inactive ones count as 0, which is the same as leaving them out where
 * x is not negative (behind a ReLU).
 */
export function maxPool(x: FeatureMap, window: Window): FeatureMap {
  const seen = windows(x, window);
  return { rows: max(seen.rows, [1]), layout: seen.layout };
}

/**
 * A transposed convolution: what its window would read, it writes. The layout of the result is that of the same mask at the
 * larger resolution.
 *
 * @param kernel [in, out, height, width], as PyTorch's ConvTranspose2d keeps it
 */
export function convolveTransposed({ rows, layout }: FeatureMap, kernel: Tensor, options: ConvolveOptions): FeatureMap {
  const [inputs, outputs, high, wide] = kernel.shape;
  const window = windowOf(kernel, options);
  const { stride = 1, padding = 0 } = window;
  const grown = (size: number, taps: number) => (size - 1) * stride - 2 * padding + taps;
  const to = layout.at(grown(layout.height, high), grown(layout.width, wide));
  const weight = reshape(permute(kernel, [0, 2, 3, 1]), [inputs, high * wide * outputs]);
  const written = reshape(matmul(rows, weight), [layout.count * high * wide, outputs]);
  // The convolution whose transpose this is reads from `to`; what lies outside goes into a row that is dropped.
  const table = tensor(to.sources(layout, window));
  const all = scatterRows(written, table, to.count + 1);
  const inside = slice(all, [{ end: to.count }]);
  return { rows: options.bias === undefined ? inside : add(inside, options.bias), layout: to };
}
