// "Shifted grids": pictures in which a place is known by its neighbours alone. Each cell shows its coordinates, moved and
// stretched by numbers that differ from picture to picture.

import { packImages } from "../../data/image-batch.js";
import type { InputSource } from "../../data/input-source.js";
import { type RandomSource, randomSource } from "../../data/random-source.js";

/** Two independent normal numbers. */
function normalPair(random: RandomSource): [number, number] {
  const radius = Math.sqrt(-2 * Math.log(1 - random()));
  const angle = 2 * Math.PI * random();
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

export interface ShiftedGridsOptions {
  /** Rows and columns. Default 6. */
  readonly side?: number;
  /** Deviation of what is added to each number. Default 0.03. */
  readonly noise?: number;
  /** Which pictures of the seed: those of two streams have nothing in common. Default 0. */
  readonly stream?: number;
}

/** How these pictures become patches. */
export const shiftedGridLayout = (side = 6) => ({
  imageSize: [side, side] as [number, number],
  patchSize: [1, 1] as [number, number],
  channels: 4,
  classToken: false,
});

/**
 * Pictures of side x side cells with four channels: u = x sx + ox and v = y sy + oy, sin 3u and sin 3v, where x and y go from -1
 * to 1, and each picture draws offsets ox, oy ~ N(0, 1) and scales sx, sy ~ U(0.7, 1.3). Each is made when it is packed, from
 * the seed and its number.
 */
export function shiftedGrids(
  seed: number,
  count: number,
  { side = 6, noise = 0.03, stream = 0 }: ShiftedGridsOptions = {},
): InputSource {
  const cells = side * side;
  function draw(index: number, pixels: Float32Array): void {
    const random = randomSource(seed, 11, stream, index);
    const offsets = normalPair(random);
    const scales = [0, 1].map(() => 0.7 + 0.6 * random());
    for (let cell = 0; cell < cells; cell++) {
      const at = [cell % side, Math.floor(cell / side)].map((place) => (2 * place) / (side - 1) - 1);
      const [u, v] = at.map((place, axis) => place * scales[axis] + offsets[axis]);
      const [a, b] = normalPair(random);
      const [c, d] = normalPair(random);
      const values = [u + noise * a, v + noise * b, Math.sin(3 * u) + noise * c, Math.sin(3 * v) + noise * d];
      values.forEach((value, channel) => {
        pixels[channel * cells + cell] = value;
      });
    }
  }
  return {
    count,
    tokens: count * cells,
    length: () => cells,
    pack(indices) {
      const pixels = new Float32Array(indices.length * 4 * cells);
      Array.from(indices).forEach((index, i) => {
        draw(index, pixels.subarray(i * 4 * cells, (i + 1) * 4 * cells));
      });
      return packImages(pixels, shiftedGridLayout(side));
    },
  };
}
