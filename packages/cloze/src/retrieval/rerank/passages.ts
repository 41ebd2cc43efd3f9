// Documents longer than a cross-encoder's window: cut into passages, scored one by one, put together again.

/** How documents are cut (Dai and Callan 2019). */
export interface PassageOptions {
  /** Words of a passage; 150 unless told. */
  words?: number;
  /** Words from one passage's beginning to the next one's; 75 unless told. */
  stride?: number;
  /** Passages of a document at most: the first ones and the last; 16 unless told. */
  most?: number;
}

/**
 * How the scores of a document's passages become one: the first's, the largest, their sum, or the sum of the best few, each
 * perhaps with a weight of its place (missing ones count as nothing).
 */
export type PassageAggregation =
  | "first"
  | "max"
  | "sum"
  | { readonly top: number; readonly weights?: readonly number[] };

/** The passages of a text, in order; one for a text that is short enough, also an empty one. */
export function cutPassages(text: string, { words = 150, stride = 75, most = 16 }: PassageOptions = {}): string[] {
  const spans = [...text.matchAll(/\S+/g)].map((match) => [match.index, match.index + match[0].length] as const);
  if (spans.length <= words) return [text];
  const passages: string[] = [];
  for (let first = 0; ; first += stride) {
    const last = Math.min(spans.length, first + words);
    passages.push(text.slice(spans[first][0], spans[last - 1][1]));
    if (last === spans.length) break;
  }
  if (passages.length <= most) return passages;
  return most === 1 ? passages.slice(0, 1) : [...passages.slice(0, most - 1), passages[passages.length - 1]];
}

/** One score of a document's passages. Scores that are summed should be probabilities, or the longest document wins. */
export function aggregatePassages(scores: ArrayLike<number>, aggregation: PassageAggregation): number {
  const all = Array.from(scores);
  if (aggregation === "first") return all[0];
  if (aggregation === "max") return Math.max(...all);
  if (aggregation === "sum") return all.reduce((sum, score) => sum + score, 0);
  const { top, weights = [] } = aggregation;
  return all
    .sort((a, b) => b - a)
    .slice(0, top)
    .reduce((sum, score, place) => sum + (weights[place] ?? 1) * score, 0);
}
