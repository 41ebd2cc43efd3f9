// Running statistics of batch norms for the use that follows: a network that was trained on some places of images meets other
// means and variances where it sees all of them.
import { noGrad, scope } from "@cloze/tensor";
import { type ImageSet, imagenetStatistics, type PixelStatistics } from "../data/images/image-set.js";
import type { Convnet } from "./convnet.js";
import { imageBatches, pixelTensor } from "./image-vectors.js";

export interface RecalibrateOptions {
  /** What pixels are normalised with. Default: ImageNet's. */
  readonly statistics?: PixelStatistics;
  /** Default 64. */
  readonly batchSize?: number;
}

/**
 * Measures the running means and variances of a network's batch norms again, on whole images; nothing else of it changes. For
 * frozen use behind masked pre-training: fine-tuning does the same by itself. A network of layer norms stays as it is.
 *
 * @example
 * recalibrate(net, images);
 * exportEncoder(net, "encoder");
 */
export function recalibrate(
  net: Convnet,
  images: ImageSet,
  { statistics = imagenetStatistics, batchSize = 64 }: RecalibrateOptions = {},
): void {
  if (net.statistics.size === 0) return;
  // A running value forgets 10 % a batch: after 45 of them what was before is 1 % of it.
  const least = 45;
  for (let batches = 0; batches < least; ) {
    for (const batch of imageBatches(images, batchSize)) {
      noGrad(() =>
        scope(() => {
          net.forward(pixelTensor(batch, statistics), { training: true });
        }),
      );
      batches++;
    }
  }
}
