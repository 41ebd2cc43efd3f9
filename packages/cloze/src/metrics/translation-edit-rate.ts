// Translation edit rate (Snover et al. 2006) as Tercom and sacrebleu compute it.
import { alignEdits } from "./edit-alignment.js";
import { sumOf } from "./shape.js";
import { type References, referenceLists } from "./translation.js";
import { splitWords } from "./words.js";

/** TER and what it is made of. */
export interface TranslationEditRate {
  /** 100 × edits / words of the references; lower is better, and it may pass 100. */
  readonly score: number;
  readonly edits: number;
  /** Words of the references; of several for one text, their mean. */
  readonly referenceLength: number;
}

// Tercom's limits on the search, and sacrebleu's on the number of tries.
const longestShift = 10;
const farthestShift = 50;
const mostTries = 1000;

/** A block of the text that occurs elsewhere in the reference. */
interface Block {
  readonly start: number;
  readonly target: number;
  readonly length: number;
}

function* commonBlocks(hypothesis: Int32Array, reference: Int32Array): Generator<Block> {
  for (let start = 0; start < hypothesis.length; start++) {
    for (let target = 0; target < reference.length; target++) {
      if (Math.abs(target - start) > farthestShift) continue;
      for (let length = 1; length <= longestShift; length++) {
        const last = length - 1;
        if (start + last >= hypothesis.length || target + last >= reference.length) break;
        if (hypothesis[start + last] !== reference[target + last]) break;
        yield { start, target, length };
      }
    }
  }
}

/** Moves a block so that it stands before the word that is at `place` now; inside the block, `place` counts without it. */
function moveBlock(words: Int32Array, { start, length }: Block, place: number): Int32Array {
  const block = words.subarray(start, start + length);
  const rest = new Int32Array(words.length - length);
  rest.set(words.subarray(0, start));
  rest.set(words.subarray(start + length), start);
  const at = Math.min(rest.length, place > start + length ? place - length : place);
  const moved = new Int32Array(words.length);
  moved.set(rest.subarray(0, at));
  moved.set(block, at);
  moved.set(rest.subarray(at), at + length);
  return moved;
}

interface Shift {
  readonly gain: number;
  readonly length: number;
  readonly start: number;
  readonly place: number;
  readonly words: Int32Array;
}

/** Tercom's order: most gained, then longest block, then earliest, then earliest place. */
function isBetter(one: Shift, other: Shift): boolean {
  if (one.gain !== other.gain) return one.gain > other.gain;
  if (one.length !== other.length) return one.length > other.length;
  if (one.start !== other.start) return one.start < other.start;
  return one.place < other.place;
}

const anyError = (errors: Uint8Array, start: number, length: number): boolean =>
  errors.subarray(start, start + length).includes(1);

/** The best single shift, and how many were tried. */
function findShift(words: Int32Array, reference: Int32Array, tried: number): { shift?: Shift; tried: number } {
  const before = alignEdits(words, reference);
  let best: Shift | undefined;
  for (const block of commonBlocks(words, reference)) {
    const { start, target, length } = block;
    // Only a block that is wrong where it stands, and would mend something where it goes.
    if (!anyError(before.hypothesisErrors, start, length) || !anyError(before.referenceErrors, target, length))
      continue;
    if (before.places[target] >= start && before.places[target] < start + length) continue;
    let last = -1;
    for (let offset = -1; offset < length; offset++) {
      if (target + offset >= reference.length) break;
      const place = target + offset < 0 ? 0 : before.places[target + offset] + 1;
      if (place === last) continue;
      last = place;
      const moved = moveBlock(words, block, place);
      const gain = before.distance - alignEdits(moved, reference).distance;
      const shift = { gain, length, start, place, words: moved };
      if (best === undefined || isBetter(shift, best)) best = shift;
      tried++;
    }
    if (tried >= mostTries) break;
  }
  return { shift: best, tried };
}

/** Shifts and other edits that turn a text into a reference. */
function countEdits(hypothesis: Int32Array, reference: Int32Array): number {
  if (reference.length === 0) return hypothesis.length;
  let words = hypothesis;
  let shifts = 0;
  let tried = 0;
  for (;;) {
    const found = findShift(words, reference, tried);
    tried = found.tried;
    if (found.shift === undefined || found.shift.gain <= 0 || tried >= mostTries) break;
    words = found.shift.words;
    shifts++;
  }
  return shifts + alignEdits(words, reference).distance;
}

/**
 * TER of a corpus: the fewest edits (insert, delete, substitute, or shift a block of words) against the best reference of
 * each text, over the words of the references. Words stand between white space, in lower case. Without any word in the
 * references it is 100 when there are edits and otherwise 0.
 *
 * @throws METRIC_SHAPE, METRIC_VALUE for a text without a reference
 */
export function translationEditRate(
  hypotheses: readonly string[],
  references: readonly References[],
): TranslationEditRate {
  const lists = referenceLists(hypotheses, references);
  const ids = new Map<string, number>();
  const encode = (text: string): Int32Array =>
    Int32Array.from(splitWords(text.toLowerCase()), (word) => {
      const id = ids.get(word) ?? ids.size;
      ids.set(word, id);
      return id;
    });
  let edits = 0;
  let referenceLength = 0;
  hypotheses.forEach((hypothesis, i) => {
    const words = encode(hypothesis);
    const right = lists[i].map(encode);
    edits += Math.min(...right.map((reference) => countEdits(words, reference)));
    referenceLength += sumOf(right.length, (j) => right[j].length) / right.length;
  });
  const score = referenceLength > 0 ? (100 * edits) / referenceLength : edits > 0 ? 100 : 0;
  return { score, edits, referenceLength };
}
