// Which cells of images a network sees: an explicit argument of its forward pass, never a setting somewhere.
import { type RandomSource, randomOrder } from "../data/random-source.js";
import { ClozeError } from "../errors.js";

/** For each image a grid of cells, row by row: 1 where the network sees the cell. */
export interface ActiveMask {
  readonly images: number;
  readonly rows: number;
  readonly columns: number;
  /** [images x rows x columns] */
  readonly cells: Uint8Array;
}

export interface ActiveMaskOptions {
  readonly images: number;
  readonly rows: number;
  readonly columns: number;
  /** Share of the cells that are hidden. */
  readonly maskRatio: number;
}

/** Cells that stay of `cells`; the same for every image. @throws INVALID_OPTION when none or all stay */
export function visibleCells(cells: number, maskRatio: number): number {
  const visible = Math.round(cells * (1 - maskRatio));
  if (visible >= 1 && visible < cells) return visible;
  throw new ClozeError("INVALID_OPTION", "The share of hidden cells leaves nothing to see, or nothing to paint", {
    expected: `a share that hides 1 to ${cells - 1} of ${cells} cells`,
    received: String(maskRatio),
    remedy: "Take another maskRatio (0.6 is usual), or larger images.",
  });
}

/**
 * Draws cells that are seen: exactly round(rows x columns x (1 - maskRatio)) of each image, each set as likely.
 *
 * @throws INVALID_OPTION when no cell would stay, or all would
 * @example
 * const active = drawActive({ images: 64, rows: 4, columns: 4, maskRatio: 0.6 }, randomSource(seed, step)); // 6 of 16 stay
 */
export function drawActive({ images, rows, columns, maskRatio }: ActiveMaskOptions, random: RandomSource): ActiveMask {
  const each = rows * columns;
  const visible = visibleCells(each, maskRatio);
  const cells = new Uint8Array(images * each);
  for (let image = 0; image < images; image++) {
    for (const cell of randomOrder(each, random).subarray(0, visible)) cells[image * each + cell] = 1;
  }
  return { images, rows, columns, cells };
}

/** The cells that are not seen, numbered through all images. */
export function hiddenCells({ cells }: ActiveMask): Int32Array {
  return Int32Array.from(cells.keys()).filter((cell) => cells[cell] === 0);
}

/**
 * The mask at another resolution, each cell repeated. -> [images x height x width]
 *
 * @throws SHAPE_MISMATCH unless height and width are multiples of rows and columns
 */
export function activeAt({ images, rows, columns, cells }: ActiveMask, height: number, width: number): Uint8Array {
  if (height % rows !== 0 || width % columns !== 0) {
    throw new ClozeError("SHAPE_MISMATCH", "A mask does not fit a feature map", {
      expected: `a multiple of ${rows} x ${columns} places`,
      received: `${height} x ${width}`,
      remedy: "Images have a size that the network's stride divides; cells are as large as that stride.",
    });
  }
  const [high, wide] = [height / rows, width / columns];
  const result = new Uint8Array(images * height * width);
  for (let at = 0, image = 0; image < images; image++) {
    for (let y = 0; y < height; y++) {
      const row = (image * rows + Math.floor(y / high)) * columns;
      for (let x = 0; x < width; x++) result[at++] = cells[row + Math.floor(x / wide)];
    }
  }
  return result;
}
