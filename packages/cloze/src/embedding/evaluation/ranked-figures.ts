// Means of figures over queries.
export { rankedAveragePrecision, rankedNdcg, recallAtK, reciprocalRank } from "../../metrics/index.js";

/** The mean of each figure; NaN without rows. */
export function meanOfRows(rows: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const names = Object.keys(rows[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, rows.reduce((sum, row) => sum + row[name], 0) / rows.length]));
}
