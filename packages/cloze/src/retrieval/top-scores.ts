// The best few of many scores.
import type { SearchHit } from "./search-hit.js";

/**
 * The `k` best of those above `floor`, best first; equal scores in the order of their positions. Those for which `keep` says
 * no, and NaN, are passed over.
 */
export function topScores(
  scores: ArrayLike<number>,
  k: number,
  { floor = Number.NEGATIVE_INFINITY, keep }: { floor?: number; keep?: (index: number) => boolean } = {},
): SearchHit[] {
  if (k <= 0) return [];
  // A heap whose root is the worst of those held: lowest score, and of equals the last.
  const indices = new Int32Array(k);
  const values = new Float64Array(k);
  let size = 0;
  const worse = (a: number, b: number) => values[a] < values[b] || (values[a] === values[b] && indices[a] > indices[b]);
  const swap = (a: number, b: number) => {
    [indices[a], indices[b]] = [indices[b], indices[a]];
    [values[a], values[b]] = [values[b], values[a]];
  };
  const sink = () => {
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      if (left >= size) return;
      const child = left + 1 < size && worse(left + 1, left) ? left + 1 : left;
      if (!worse(child, at)) return;
      swap(child, at);
      at = child;
    }
  };
  let least = floor;
  for (let index = 0; index < scores.length; index++) {
    const score = scores[index];
    if (!(score > least)) continue;
    if (keep !== undefined && !keep(index)) continue;
    if (size < k) {
      indices[size] = index;
      values[size] = score;
      for (let at = size++; at > 0; ) {
        const parent = (at - 1) >> 1;
        if (!worse(at, parent)) break;
        swap(at, parent);
        at = parent;
      }
    } else {
      indices[0] = index;
      values[0] = score;
      sink();
    }
    if (size === k) least = values[0];
  }
  const hits: SearchHit[] = Array.from({ length: size }, (_, i) => ({ index: indices[i], score: values[i] }));
  return hits.sort((left, right) => right.score - left.score || left.index - right.index);
}
