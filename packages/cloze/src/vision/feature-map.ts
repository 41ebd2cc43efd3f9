// What a convolutional network computes with: the rows of places that are active, and where they lie. Places that are not
// active have no row, so nothing can flow through them; without a mask every place has one.
import { noGrad, reshape, scatterRows, type Tensor, take, tensor } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import { type ActiveMask, activeAt } from "./active-mask.js";

/** A window that slides over places. */
export interface Window {
  /** Height and width. */
  readonly kernel: readonly [number, number];
  /** Default 1. */
  readonly stride?: number;
  /** Zeros on every side. Default 0. */
  readonly padding?: number;
}

/** Where the rows of a feature map lie. */
export interface Layout {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  /** Number of rows. */
  readonly count: number;
  /** For each row its place: (image x height + y) x width + x. */
  readonly places: Int32Array;
  /** For each place its row, or -1. */
  readonly rows: Int32Array;
  /** The layout of the same mask at another resolution. */
  at(height: number, width: number): Layout;
  /**
   * For each row of the layout that a window gives, and each place of the window: the row that it reads; `count` where the
   * place is not active or outside of the image. [rows x places of the window]
   */
  sources(to: Layout, window: Window): Int32Array;
}

/** Features of active places, and where these lie. */
export interface FeatureMap {
  /** [active places, channels] */
  readonly rows: Tensor;
  readonly layout: Layout;
}

/** Height or width after a window has slid along an axis. */
export const outputSize = (size: number, kernel: number, stride: number, padding: number): number =>
  Math.floor((size + 2 * padding - kernel) / stride) + 1;

/** The layout that a window gives. @throws SHAPE_MISMATCH when the image is smaller than the window */
export function outputLayout(layout: Layout, { kernel, stride = 1, padding = 0 }: Window): Layout {
  const height = outputSize(layout.height, kernel[0], stride, padding);
  const width = outputSize(layout.width, kernel[1], stride, padding);
  if (height >= 1 && width >= 1) return layout.at(height, width);
  throw new ClozeError("SHAPE_MISMATCH", "An image is smaller than a convolution's window", {
    expected: `at least ${kernel.join(" x ")} places with ${padding} of padding`,
    received: `${layout.height} x ${layout.width}`,
    remedy: "Take larger images, or a network with fewer strides.",
  });
}

function sourcesOf(from: Layout, to: Layout, { kernel, stride = 1, padding = 0 }: Window): Int32Array {
  const [high, wide] = kernel;
  const { height, width, rows, count } = from;
  const result = new Int32Array(to.count * high * wide);
  let at = 0;
  for (const place of to.places) {
    const left = (place % to.width) * stride - padding;
    const line = Math.floor(place / to.width);
    const top = (line % to.height) * stride - padding;
    const start = Math.floor(line / to.height) * height;
    for (let i = top; i < top + high; i++) {
      const inside = i >= 0 && i < height;
      const base = (start + i) * width;
      for (let j = left; j < left + wide; j++) {
        const row = inside && j >= 0 && j < width ? rows[base + j] : -1;
        result[at++] = row < 0 ? count : row;
      }
    }
  }
  return result;
}

/**
 * Layouts of images at every resolution that a network comes to. Tables of one forward pass are shared: make layouts once
 * for each.
 *
 * @param active absent: every place is active
 */
export function createLayout(images: number, height: number, width: number, active?: ActiveMask): Layout {
  if (active !== undefined && active.images !== images) {
    throw new ClozeError("SHAPE_MISMATCH", "A mask belongs to as many images as there are", {
      expected: `a mask of ${images} images`,
      received: String(active.images),
    });
  }
  const known = new Map<string, Layout>();
  const tables = new Map<string, Int32Array>();
  const make = (high: number, wide: number): Layout => {
    const places = images * high * wide;
    const seen = active === undefined ? undefined : activeAt(active, high, wide);
    const rows = new Int32Array(places);
    let count = 0;
    for (let place = 0; place < places; place++) rows[place] = seen === undefined || seen[place] ? count++ : -1;
    const list = new Int32Array(count);
    for (let place = 0; place < places; place++) if (rows[place] >= 0) list[rows[place]] = place;
    const layout: Layout = {
      images,
      height: high,
      width: wide,
      count,
      places: list,
      rows,
      at,
      sources(to, window) {
        const { kernel, stride = 1, padding = 0 } = window;
        const key = [high, wide, to.height, to.width, ...kernel, stride, padding].join(" ");
        let table = tables.get(key);
        if (table === undefined) {
          table = sourcesOf(layout, to, window);
          tables.set(key, table);
        }
        return table;
      },
    };
    return layout;
  };
  const at = (high: number, wide: number): Layout => {
    const key = `${high} ${wide}`;
    let layout = known.get(key);
    if (layout === undefined) {
      layout = make(high, wide);
      known.set(key, layout);
    }
    return layout;
  };
  return at(height, width);
}

/** The rows of x at the places of a layout of the same size; each of them is active in x. */
export function restrict({ rows, layout }: FeatureMap, to: Layout): FeatureMap {
  if (to.count === layout.count) return { rows, layout: to };
  const places = Int32Array.from(to.places, (place) => layout.rows[place]);
  return { rows: take(rows, tensor(places)), layout: to };
}

/** A feature map with zeros at places that are not active. -> [images, height, width, channels] */
export function denseFeatures({ rows, layout }: FeatureMap): Tensor {
  const { images, height, width, count, places } = layout;
  const size = images * height * width;
  const all = count === size ? rows : scatterRows(rows, tensor(places), size);
  return reshape(all, [images, height, width, rows.shape[1]]);
}

/** For each place 1 where it is active, else 0. -> [images, height, width, 1] */
export const activeTensor = ({ images, height, width, rows }: Layout): Tensor =>
  noGrad(() =>
    tensor(
      Float32Array.from(rows, (row) => Number(row >= 0)),
      [images, height, width, 1],
    ),
  );

/** Layouts without a mask, kept from one call to the next while images have the same number and size. */
export function denseLayouts(): (images: number, height: number, width: number) => Layout {
  let last: Layout | undefined;
  return (images, height, width) => {
    if (last === undefined || last.images !== images || last.height !== height || last.width !== width) {
      last = createLayout(images, height, width);
    }
    return last;
  };
}
