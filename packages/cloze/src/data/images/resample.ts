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
function weightsOf(start: number, length: number, size: number, outputs: number) {
  const scale = length / outputs;
  const stretch = Math.max(1, scale);
  // Nothing beside the box is looked at.
  const [lowest, highest] = [Math.max(0, Math.floor(start)), Math.min(size, Math.ceil(start + length))];
  return Array.from({ length: outputs }, (_, i) => {
    const centre = start + (i + 0.5) * scale;
    const first = Math.max(lowest, Math.floor(centre - 2 * stretch + 0.5));
    const last = Math.min(highest, Math.floor(centre + 2 * stretch + 0.5));
    const weights = Float64Array.from({ length: Math.max(1, last - first) }, (_, j) =>
      cubic((first + j + 0.5 - centre) / stretch),
    );
    const total = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
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
  const rows = new Float64Array(height * outWidth);
  const result = new Uint8Array(channels * outHeight * outWidth);
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < height; y++) {
      const from = (channel * height + y) * width;
      for (const [x, { first, weights }] of across.entries()) {
        let total = 0;
        for (let j = 0; j < weights.length; j++) total += weights[j] * image[from + first + j];
        rows[y * outWidth + x] = total;
      }
    }
    for (const [y, { first, weights }] of down.entries()) {
      const to = (channel * outHeight + y) * outWidth;
      for (let x = 0; x < outWidth; x++) {
        let total = 0;
        for (let j = 0; j < weights.length; j++) total += weights[j] * rows[(first + j) * outWidth + x];
        result[to + x] = byte(total);
      }
    }
  }
  return result;
}
