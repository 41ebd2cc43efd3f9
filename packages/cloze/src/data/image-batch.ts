// Images as a batch: every patch is a token.
import { ClozeError } from "../errors.js";
import type { PackedBatch } from "./packed-batch.js";

/** A batch of images. The id of a patch is 0, or 1 where it is masked. */
export interface ImageBatch extends PackedBatch {
  /** [images x channels x height x width] */
  readonly values: Float32Array;
}

/** How images become patches; the embeddings of the type "patches" have these fields. */
export interface PatchLayout {
  /** Height and width in pixels. */
  readonly imageSize: readonly [number, number];
  /** Height and width of a patch; pixels at the right and lower edge that fill no patch are left out. */
  readonly patchSize: readonly [number, number];
  readonly channels: number;
  /** A token that stands for the image comes before the patches. Default true. */
  readonly classToken?: boolean;
}

/** Rows and columns of patches. */
export const patchGrid = ({ imageSize, patchSize }: Pick<PatchLayout, "imageSize" | "patchSize">): [number, number] => [
  Math.floor(imageSize[0] / patchSize[0]),
  Math.floor(imageSize[1] / patchSize[1]),
];

/**
 * Images of one size as a batch: a sequence for each, with a token for each patch, row by row.
 *
 * @param pixels normalised as the model wants them, [images x channels x height x width]
 * @param masked 1 for patches that the model is not shown (it needs a mask token), [images x patches]
 * @throws BATCH_SHAPE
 * @example
 * const batch = packImages(pixels, { imageSize: [224, 224], patchSize: [16, 16], channels: 3 });
 * const { logits } = model.forward(batch);
 */
export function packImages(pixels: Float32Array, layout: PatchLayout, masked?: ArrayLike<number>): ImageBatch {
  const { imageSize, channels, classToken = true } = layout;
  const [rows, columns] = patchGrid(layout);
  const patches = rows * columns;
  const each = channels * imageSize[0] * imageSize[1];
  const images = pixels.length / each;
  if (!Number.isInteger(images) || !(patches >= 1)) {
    throw new ClozeError("BATCH_SHAPE", "The pixels make no whole images of whole patches", {
      expected: `a multiple of ${channels} channels x ${imageSize.join(" x ")} pixels, in patches of ${layout.patchSize.join(" x ")}`,
      received: `${pixels.length} numbers`,
      remedy: "Scale images to the size of the model first.",
    });
  }
  if (masked !== undefined && masked.length !== images * patches) {
    throw new ClozeError("BATCH_SHAPE", "masked says of each patch whether the model is not shown it", {
      expected: `${images} x ${patches} numbers`,
      received: String(masked.length),
    });
  }
  const before = Number(classToken);
  const length = patches + before;
  const tokens = images * length;
  const maskOf = (token: number): number => {
    const patch = (token % length) - before;
    return masked === undefined || patch < 0 ? 0 : masked[Math.floor(token / length) * patches + patch];
  };
  return {
    ids: Int32Array.from({ length: tokens }, (_, token) => Number(maskOf(token) !== 0)),
    segments: new Int32Array(tokens),
    positions: Int32Array.from({ length: tokens }, (_, token) => token % length),
    offsets: Int32Array.from({ length: images + 1 }, (_, image) => image * length),
    values: pixels,
  };
}
