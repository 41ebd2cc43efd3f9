// Ranks in which equal values share.

/** Places of `values` from the smallest to the largest; equal values keep their order. */
export const ascendingOrder = (values: ArrayLike<number>): number[] =>
  Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a] - values[b] || a - b);

/** Ranks from 1 for the smallest; equal values all get the mean of the ranks that they take up. Values are not NaN. */
export function tiedRanks(values: ArrayLike<number>): Float64Array {
  const order = ascendingOrder(values);
  const ranks = new Float64Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]] === values[order[start]]) end++;
    for (let i = start; i < end; i++) ranks[order[i]] = (start + 1 + end) / 2;
    start = end;
  }
  return ranks;
}
