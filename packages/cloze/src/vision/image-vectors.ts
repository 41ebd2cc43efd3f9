// Pooled features of many images, batch by batch.
import { noGrad, scope, type Tensor, tensor } from "@cloze/tensor";
import { type ImageSet, normalizePixels, type PixelStatistics, selectImages } from "../data/images/image-set.js";
import { ClozeError } from "../errors.js";
import type { Convnet } from "./convnet.js";

/** Images as a network takes them. -> [images, channels, height, width] */
export const pixelTensor = (images: ImageSet, statistics: PixelStatistics): Tensor =>
  tensor(normalizePixels(images, statistics), [images.count, images.channels, images.height, images.width]);

/** Consecutive parts of a set, of so many images at most. */
export function* imageBatches(images: ImageSet, batchSize: number): Iterable<ImageSet> {
  for (let start = 0; start < images.count; start += batchSize) {
    const length = Math.min(batchSize, images.count - start);
    yield selectImages(
      images,
      Int32Array.from({ length }, (_, i) => start + i),
    );
  }
}

/**
 * A vector for each image: the means of the last stage.
 *
 * @param statistics what pixels are normalised with
 * @returns [images x width]
 */
export function imageVectors(
  net: Convnet,
  images: ImageSet,
  statistics: PixelStatistics,
  batchSize = 64,
): Float32Array {
  const width = net.widths[net.widths.length - 1];
  const vectors = new Float32Array(images.count * width);
  let at = 0;
  for (const batch of imageBatches(images, batchSize)) {
    const part = noGrad(() => scope(() => net.pooled(pixelTensor(batch, statistics)).toTypedArray()));
    vectors.set(part, at);
    at += part.length;
  }
  return vectors;
}

/** The classes of images. @throws LABELS_MISSING */
export function labelsOf({ labels }: ImageSet): Int32Array {
  if (labels !== undefined) return labels;
  throw new ClozeError("LABELS_MISSING", "These images have no labels", {
    expected: "images whose class is known",
    remedy: "Give an ImageSet with labels.",
  });
}
