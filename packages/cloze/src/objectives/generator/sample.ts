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
        let total = 0;
        for (const weight of own) total += weight;
        const wanted = random() * total;
        let before = 0;
        let last = -1;
        /** Goes through a block until the wanted chance is reached; `last` is then what is drawn. */
        const look = (index: number, until: number): void => {
          const start = index * block;
          const range = { start, end: Math.min(classes, start + block) };
          const values = slice(chances, [{ start: row, end: row + 1 }, range]).toTypedArray();
          for (let i = 0; i < values.length && !(last >= 0 && before > until); i++) {
            if (values[i] === 0 || start + i === never) continue;
            before += values[i];
            last = start + i;
          }
        };
        let passed = -1;
        for (let b = 0; b < blocks && last < 0; b++) {
          if (own[b] === 0) continue;
          if (before + own[b] > wanted) look(b, wanted);
          else {
            before += own[b];
            passed = b;
          }
        }
        // By rounding the wanted chance may lie behind all blocks: the last class is drawn.
        if (last < 0 && passed >= 0) look(passed, Number.POSITIVE_INFINITY);
        drawn[row] = Math.max(0, last);
      }
      return drawn;
    }),
  );
}
