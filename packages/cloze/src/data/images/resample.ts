// Parts of images at another size: bicubic, over more pixels where the result is smaller, as Pillow does it.

/** A part of an image, in pixels; need not be whole numbers. */
export interface Box {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** Keys' cubic with a = -0.5. */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/** For each output along an axis, the first pixel that it takes, and the weights of that one and those behind it. */
interface AxisWeights {
  readonly first: Int32Array;
  readonly counts: Int32Array;
  /** [outputs x most] */
  readonly weights: Float64Array;
  readonly most: number;
}

function weightsOf(start: number, length: number, size: number, outputs: number): AxisWeights {
  const scale = length / outputs;
  const stretch = Math.max(1, scale);
  // Nothing beside the box is looked at.
  const [lowest, highest] = [Math.max(0, Math.floor(start)), Math.min(size, Math.ceil(start + length))];
  const most = Math.max(1, Math.ceil(4 * stretch) + 2);
  const first = new Int32Array(outputs);
  const counts = new Int32Array(outputs);
  const weights = new Float64Array(outputs * most);
  for (let i = 0; i < outputs; i++) {
    const centre = start + (i + 0.5) * scale;
    first[i] = Math.max(lowest, Math.floor(centre - 2 * stretch + 0.5));
    const last = Math.min(highest, Math.floor(centre + 2 * stretch + 0.5));
    counts[i] = Math.max(1, last - first[i]);
    let total = 0;
    for (let j = 0; j < counts[i]; j++) {
      const weight = cubic((first[i] + j + 0.5 - centre) / stretch);
      weights[i * most + j] = weight;
      total += weight;
    }
    for (let j = 0; j < counts[i]; j++) weights[i * most + j] /= total;
  }
  return { first, counts, weights, most };
}

const byte = (value: number): number => Math.min(255, Math.max(0, Math.round(value)));

/**
 * A part of an image at another size.
 *
 * @param image [channels x height x width]
 * @returns [channels x outHeight x outWidth]
 */
export function resample(
  image: Uint8Array,
  { channels, height, width }: { channels: number; height: number; width: number },
  box: Box,
  outHeight: number,
  outWidth: number,
): Uint8Array {
  const across = weightsOf(box.left, box.width, width, outWidth);
  const down = weightsOf(box.top, box.height, height, outHeight);
  // Only rows that the second axis reads.
  const [top, end] = [down.first[0], down.first[outHeight - 1] + down.counts[outHeight - 1]];
  const rows = new Float64Array(height * outWidth);
  const line = new Float64Array(outWidth);
  const result = new Uint8Array(channels * outHeight * outWidth);
  for (let channel = 0; channel < channels; channel++) {
    for (let y = top; y < end; y++) {
      const from = (channel * height + y) * width;
      for (let x = 0; x < outWidth; x++) {
        const pixel = from + across.first[x];
        const weight = x * across.most;
        let total = 0;
        for (let j = 0; j < across.counts[x]; j++) total += across.weights[weight + j] * image[pixel + j];
        rows[y * outWidth + x] = total;
      }
    }
    for (let y = 0; y < outHeight; y++) {
      line.fill(0);
      for (let j = 0; j < down.counts[y]; j++) {
        const weight = down.weights[y * down.most + j];
        const row = (down.first[y] + j) * outWidth;
        for (let x = 0; x < outWidth; x++) line[x] += weight * rows[row + x];
      }
      const to = (channel * outHeight + y) * outWidth;
      for (let x = 0; x < outWidth; x++) result[to + x] = byte(line[x]);
    }
  }
  return result;
}
