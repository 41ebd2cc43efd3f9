import type { NetworkKernels } from "../contract/network.js";
import type { RotaryKernels } from "../contract/rotary.js";
import type { ReferenceMemory } from "./memory.js";

export function rotaryKernels(
  { real, integer }: ReferenceMemory,
  { activationF32, activationBackwardF32 }: Pick<NetworkKernels, "activationF32" | "activationBackwardF32">,
): RotaryKernels {
  return {
    rotaryF32(x, cosines, sines, places, y, rows, columns, heads, size, interleaved, direction) {
      const [from, c, s, to] = [real(x), real(cosines), real(sines), real(y)];
      const half = size / 2;
      for (let row = 0; row < rows; row++) {
        const place = places === null ? row : integer(places)[row];
        for (let column = heads * size; column < columns; column++)
          to[row * columns + column] = from[row * columns + column];
        for (let head = 0; head < heads; head++) {
          for (let i = 0; i < half; i++) {
            const base = row * columns + head * size;
            const [first, second] = interleaved === 1 ? [base + 2 * i, base + 2 * i + 1] : [base + i, base + half + i];
            const [a, b] = [from[first], from[second]];
            const [cosine, sine] = [c[place * half + i], direction * s[place * half + i]];
            to[first] = a * cosine - b * sine;
            to[second] = b * cosine + a * sine;
          }
        }
      }
    },
    gateF32(code, x, y, rows, width) {
      const [from, to] = [real(x), real(y)];
      const activated = from.slice(0, 2 * rows * width);
      activationF32(code, x, activated, 2 * rows * width);
      for (let row = 0; row < rows; row++) {
        for (let i = 0; i < width; i++)
          to[row * width + i] = activated[row * 2 * width + i] * from[row * 2 * width + width + i];
      }
    },
    gateBackwardF32(code, x, gy, gx, rows, width) {
      const [from, g, to] = [real(x), real(gy), real(gx)];
      const ones = from.slice(0, 2 * rows * width).fill(1);
      const [activated, slopes] = [ones.slice(), ones.slice()];
      activationF32(code, x, activated, 2 * rows * width);
      activationBackwardF32(code, x, ones, slopes, 2 * rows * width);
      for (let row = 0; row < rows; row++) {
        for (let i = 0; i < width; i++) {
          const at = row * 2 * width + i;
          to[at] = g[row * width + i] * from[at + width] * slopes[at];
          to[at + width] = g[row * width + i] * activated[at];
        }
      }
    },
  };
}
