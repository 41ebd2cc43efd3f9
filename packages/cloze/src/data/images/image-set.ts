// Images of one size in memory, one byte for each value.

/** Images of one size. */
export interface ImageSet {
  readonly count: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** [images x channels x height x width] */
  readonly pixels: Uint8Array;
  /** The class of each image, where it is known. [images] */
  readonly labels?: Int32Array;
}

/** The images at these positions. */
export function selectImages<Images extends ImageSet>(set: Images, positions: ArrayLike<number>): Images {
  const { channels, height, width, labels } = set;
  const each = channels * height * width;
  const pixels = new Uint8Array(positions.length * each);
  for (let i = 0; i < positions.length; i++) {
    pixels.set(set.pixels.subarray(positions[i] * each, (positions[i] + 1) * each), i * each);
  }
  return {
    ...set,
    count: positions.length,
    pixels,
    ...(labels === undefined ? {} : { labels: Int32Array.from(positions, (position) => labels[position]) }),
  };
}

/** What pixels are normalised with: of each channel, in shares of 255. */
export interface PixelStatistics {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

/** Means and deviations of ImageNet's channels, which most encoders of images are trained with. */
export const imagenetStatistics: PixelStatistics = {
  mean: [0.485, 0.456, 0.406],
  deviation: [0.229, 0.224, 0.225],
};

/** Means and deviations of the channels of a set; a channel without any spread has the deviation 1. */
export function pixelStatistics({ count, channels, height, width, pixels }: ImageSet): PixelStatistics {
  const plane = height * width;
  const mean = new Array<number>(channels).fill(0);
  const square = new Array<number>(channels).fill(0);
  for (let at = 0; at < count * channels; at++) {
    const channel = at % channels;
    for (let i = at * plane; i < (at + 1) * plane; i++) {
      const value = pixels[i] / 255;
      mean[channel] += value;
      square[channel] += value * value;
    }
  }
  const values = Math.max(1, count * plane);
  const means = mean.map((total) => total / values);
  return {
    mean: means,
    deviation: means.map((value, channel) => Math.sqrt(Math.max(0, square[channel] / values - value * value)) || 1),
  };
}

/** Images as a network takes them: (value / 255 - mean) / deviation. [images x channels x height x width] */
export function normalizePixels(
  { count, channels, height, width, pixels }: ImageSet,
  { mean, deviation }: PixelStatistics,
): Float32Array {
  const plane = height * width;
  const result = new Float32Array(pixels.length);
  for (let at = 0; at < count * channels; at++) {
    const scale = 1 / (255 * deviation[at % channels]);
    const shift = mean[at % channels] / deviation[at % channels];
    for (let i = at * plane; i < (at + 1) * plane; i++) result[i] = pixels[i] * scale - shift;
  }
  return result;
}
