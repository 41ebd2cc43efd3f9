// What training does to images: a random part at the size of the whole, and its mirror image half of the time.
import { type ImageSet, selectImages } from "../data/images/image-set.js";
import { type Box, resample } from "../data/images/resample.js";
import type { RandomSource } from "../data/random-source.js";

export interface AugmentOptions {
  /** The part has at least this share of the area. Default 0.67, as SparK; 1: the whole image. */
  readonly smallestPart?: number;
  /** Default true. */
  readonly mirror?: boolean;
}

/** A random part of an image as torchvision's RandomResizedCrop draws it: area in [smallest, 1], sides from 3:4 to 4:3. */
function randomBox(height: number, width: number, smallest: number, random: RandomSource): Box {
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = height * width * (smallest + (1 - smallest) * random());
    const ratio = Math.exp(Math.log(3 / 4) + random() * 2 * Math.log(4 / 3));
    const [wide, high] = [Math.round(Math.sqrt(area * ratio)), Math.round(Math.sqrt(area / ratio))];
    if (wide < 1 || high < 1 || wide > width || high > height) continue;
    const top = Math.floor(random() * (height - high + 1));
    const left = Math.floor(random() * (width - wide + 1));
    return { top, left, height: high, width: wide };
  }
  return { top: 0, left: 0, height, width };
}

function mirrorRows(image: Uint8Array, width: number): void {
  for (let at = 0; at < image.length; at += width) image.subarray(at, at + width).reverse();
}

/**
 * The images at some positions, each changed at random.
 *
 * @param random the only source of chance: the same numbers give the same images
 */
export function augmentImages(
  set: ImageSet,
  positions: ArrayLike<number>,
  random: RandomSource,
  { smallestPart = 0.67, mirror = true }: AugmentOptions = {},
): ImageSet {
  const chosen = selectImages(set, positions);
  const { channels, height, width, pixels } = chosen;
  const each = channels * height * width;
  for (let i = 0; i < chosen.count; i++) {
    const image = pixels.subarray(i * each, (i + 1) * each);
    if (smallestPart < 1)
      image.set(resample(image, chosen, randomBox(height, width, smallestPart, random), height, width));
    if (mirror && random() < 0.5) mirrorRows(image, width);
  }
  return chosen;
}
