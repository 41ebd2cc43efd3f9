// What pre-training reads where the input is no text: items that are packed as the encoder takes them.
import { type ImageBatch, type PatchLayout, packImages } from "./image-batch.js";
import type { PackedBatch } from "./packed-batch.js";

/** Items of an input that is no text. */
export interface InputSource {
  readonly count: number;
  /** Tokens of all items together. */
  readonly tokens: number;
  /** Tokens of one item. */
  length(index: number): number;
  /** Some of them as a batch, in this order. */
  pack(indices: ArrayLike<number>): PackedBatch;
}

/**
 * Images as what pre-training reads. Frames of sound are images too: one row high or wide for each frame, with patches of one
 * frame.
 *
 * @param pixels normalised as the model wants them. [images x channels x height x width]
 * @throws BATCH_SHAPE
 * @example
 * const images = imageSource(pixels, { imageSize: [32, 32], patchSize: [4, 4], channels: 3, classToken: false });
 * await pretrain(model, noVocabulary, images, { objective: { type: "position-prediction" }, steps: 1000 });
 */
export function imageSource(
  pixels: Float32Array,
  layout: PatchLayout,
): InputSource & { pack(indices: ArrayLike<number>): ImageBatch } {
  const { offsets } = packImages(pixels, layout);
  const count = offsets.length - 1;
  const length = count === 0 ? 0 : offsets[1];
  const each = layout.channels * layout.imageSize[0] * layout.imageSize[1];
  return {
    count,
    tokens: count * length,
    length: () => length,
    pack(indices) {
      const chosen = new Float32Array(indices.length * each);
      Array.from(indices).forEach((index, i) => {
        chosen.set(pixels.subarray(index * each, (index + 1) * each), i * each);
      });
      return packImages(chosen, layout);
    },
  };
}
