import { mul, noGrad, reshape, scope, slice, softmax, sum, type Tensor } from "@cloze/tensor";
import type { RandomSource } from "../../data/random-source.js";

/** Classes whose chances are added up before any is looked at alone. */
const block = 64;

/** The chances of each block of classes, the last of which may be shorter, in row-major order. chances: [rows, classes] */
function blockSums(chances: Tensor): Float32Array {
  const [rows, classes] = chances.shape;
  const whole = Math.floor(classes / block);
  const blocks = Math.ceil(classes / block);
  const sums = new Float32Array(rows * blocks);
  const put = (of: Tensor, first: number, count: number) => {
    const values = of.toTypedArray();
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < count; i++) sums[row * blocks + first + i] = values[row * count + i];
    }
  };
  if (whole > 0) {
    const columns = slice(chances, [{}, { end: whole * block }]);
    put(sum(reshape(columns, [rows, whole, block]), [2]), 0, whole);
  }
  if (blocks > whole) put(sum(slice(chances, [{}, { start: whole * block }]), [1]), whole, 1);
  return sums;
}

/**
 * Adds weights up until what is wanted is passed. Weights of 0 are never where it ends; where it is not passed, by rounding, the
 * last of the others is.
 *
 * @param from the sum to begin with
 * @returns the place, -1 where all weights are 0, and the sum before it
 */
function reach(weights: ArrayLike<number>, wanted: number, from: number): { place: number; before: number } {
  let found = { place: -1, before: from };
  let sum = from;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    found = { place: i, before: sum };
    sum += weights[i];
    if (sum > wanted) break;
  }
  return found;
}

/**
 * Draws a class for each row from softmax(logits / temperature); no gradient goes through. Of the chances only sums, and for
 * each row those of the block that is drawn, leave the engine's memory.
 *
 * @param logits [rows, classes]
 * @param never a class that is not drawn ([MASK]); its chance goes to the others
 * @returns [rows]
 */
export function sampleRows(logits: Tensor, random: RandomSource, temperature = 1, never?: number): Int32Array {
  const [rows, classes] = logits.shape;
  const blocks = Math.ceil(classes / block);
  const drawn = new Int32Array(rows);
  if (rows === 0 || classes === 0) return drawn;
  return scope(() =>
    noGrad(() => {
      const chances = softmax(temperature === 1 ? logits : mul(logits, 1 / temperature));
      const sums = blockSums(chances);
      const spared =
        never === undefined ? undefined : slice(chances, [{}, { start: never, end: never + 1 }]).toTypedArray();
      for (let row = 0; row < rows; row++) {
        const own = sums.subarray(row * blocks, (row + 1) * blocks);
        if (never !== undefined && spared !== undefined) {
          const at = Math.floor(never / block);
          own[at] = Math.max(0, own[at] - spared[row]);
        }
        const wanted = random() * own.reduce((total, weight) => total + weight, 0);
        const { place, before } = reach(own, wanted, 0);
        if (place < 0) continue;
        const start = place * block;
        const range = { start, end: Math.min(classes, start + block) };
        const values = slice(chances, [{ start: row, end: row + 1 }, range]).toTypedArray();
        if (never !== undefined && never >= range.start && never < range.end) values[never - start] = 0;
        drawn[row] = start + Math.max(0, reach(values, wanted, before).place);
      }
      return drawn;
    }),
  );
}
