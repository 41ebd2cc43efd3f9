/** A piece that a Unigram vocabulary may get, with how much it would cover. */
export interface Seed {
  readonly piece: string;
  readonly score: number;
}

/** Words as code points, end to end; 0 ends each. */
function flatten(words: Iterable<string>): Int32Array {
  let points = new Int32Array(1 << 16);
  let size = 0;
  for (const word of words) {
    if (size + word.length + 1 > points.length) {
      const longer = new Int32Array(Math.max(points.length * 2, size + word.length + 1));
      longer.set(points.subarray(0, size));
      points = longer;
    }
    for (const character of word) points[size++] = character.codePointAt(0)!;
    points[size++] = 0;
  }
  return points.subarray(0, size);
}

/**
 * Sorts places of a text by what follows them, up to `depth` characters or the end of a word: quicksort by one
 * character after the other, on a stack of its own.
 */
function sortSuffixes(points: Int32Array, places: Int32Array, depth: number): void {
  const stack: number[] = [0, places.length, 0];
  const swap = (left: number, right: number): void => {
    const kept = places[left];
    places[left] = places[right];
    places[right] = kept;
  };
  while (stack.length > 0) {
    const at = stack.pop()!;
    const end = stack.pop()!;
    const start = stack.pop()!;
    if (end - start < 2 || at >= depth) continue;
    const pivot = points[places[(start + end) >> 1] + at];
    let below = start;
    let above = end;
    for (let here = start; here < above; ) {
      const point = points[places[here] + at];
      if (point < pivot) swap(below++, here++);
      else if (point > pivot) swap(here, --above);
      else here++;
    }
    stack.push(start, below, at, above, end, at);
    // Past the end of a word there is nothing left to compare.
    if (pivot !== 0) stack.push(below, above, at + 1);
  }
}

/** How many characters two places have in common, up to `depth`; the end of a word is the last that counts. */
function common(points: Int32Array, left: number, right: number, depth: number): number {
  let length = 0;
  while (length < depth && points[left + length] === points[right + length]) {
    if (points[left + length++] === 0) break;
  }
  return length;
}

/**
 * Finds the substrings of words that occur more than once and are not always followed by the same character, with how
 * often they occur. (Those that are could only be part of a longer one that does as well.)
 *
 * @param longest the most characters that a substring may have.
 * @param limit how many are wanted: those that cover most.
 * @returns substrings of two characters and more; the score is occurrences times length, the highest first.
 */
export function frequentSubstrings(words: Iterable<string>, longest: number, limit: number): Seed[] {
  const points = flatten(words);
  let count = 0;
  for (const point of points) if (point !== 0) count++;
  const places = new Int32Array(count);
  count = 0;
  for (let at = 0; at < points.length; at++) if (points[at] !== 0) places[count++] = at;
  const depth = longest + 1;
  sortSuffixes(points, places, depth);
  const found: { place: number; length: number; score: number }[] = [];
  // The open branches: substrings that the last suffix begins with, each with where it was first seen.
  const lengths: number[] = [];
  const firsts: number[] = [];
  for (let index = 1; index <= count; index++) {
    const shared = index < count ? common(points, places[index - 1], places[index], depth) : 0;
    let first = index - 1;
    while (lengths.length > 0 && lengths[lengths.length - 1] > shared) {
      const length = lengths.pop()!;
      first = firsts.pop()!;
      if (length < 2 || length > longest || points[places[first] + length - 1] === 0) continue;
      found.push({ place: places[first], length, score: (index - first) * length });
    }
    if (shared > 0 && (lengths.length === 0 || lengths[lengths.length - 1] < shared)) {
      lengths.push(shared);
      firsts.push(first);
    }
  }
  const compare = (left: { place: number; length: number }, right: { place: number; length: number }): number => {
    const same = common(points, left.place, right.place, Math.min(left.length, right.length));
    if (same === left.length || same === right.length) return left.length - right.length;
    return points[left.place + same] - points[right.place + same];
  };
  found.sort((left, right) => right.score - left.score || compare(right, left));
  return found.slice(0, limit).map(({ place, length, score }) => ({
    piece: String.fromCodePoint(...points.subarray(place, place + length)),
    score,
  }));
}
