// Which documents are worth decoding (PLAID, Santhanam 2022): centroids alone say it, stage by stage.
import { matmul, noGrad, scope, tensor, transpose } from "@cloze/tensor";
import { topScores } from "../top-scores.js";
import type { TokenCodec } from "./token-codec.js";

/** How many documents each stage keeps. */
export interface PlaidOptions {
  /** Centroids of each query token whose documents are looked at. */
  readonly cells: number;
  /** Tokens whose centroid has no inner product of at least this with any token of the query do not count at first. */
  readonly threshold: number;
  /** Documents that the first approximation keeps; the second, over all their tokens, keeps a quarter. */
  readonly candidates: number;
}

/** The authors' settings for the best k. */
export function plaidSettings(k: number): PlaidOptions {
  if (k <= 10) return { cells: 1, threshold: 0.5, candidates: 256 };
  if (k <= 100) return { cells: 2, threshold: 0.45, candidates: 1024 };
  return { cells: 4, threshold: 0.4, candidates: Math.max(4 * k, 4096) };
}

/** Inner products of all centroids with the query's tokens: [centroids, query tokens] */
const centroidScores = (query: Float32Array, { centroids, width }: TokenCodec): Float32Array =>
  scope(() =>
    noGrad(() => {
      const rows = (values: Float32Array) => tensor(values, [values.length / width, width]);
      return matmul(rows(centroids), transpose(rows(query))).toTypedArray() as Float32Array;
    }),
  );

/**
 * The documents that are decoded, out of those with a token near the query's.
 *
 * @param centroidsOf the centroids of a document's tokens
 * @param found documents of the nearest cells
 */
export function pruneByCentroids(
  query: Float32Array,
  codec: TokenCodec,
  centroidsOf: (document: number) => Uint16Array | Uint32Array,
  found: Iterable<number>,
  { threshold, candidates }: Pick<PlaidOptions, "threshold" | "candidates">,
): number[] {
  const scores = centroidScores(query, codec);
  const tokens = query.length / codec.width;
  const best = new Float32Array(scores.length / tokens).fill(Number.NEGATIVE_INFINITY);
  for (let i = 0; i < scores.length; i++) {
    const centroid = Math.floor(i / tokens);
    if (scores[i] > best[centroid]) best[centroid] = scores[i];
  }
  const most = new Float32Array(tokens);
  /** MaxSim with the centroids in place of tokens; centroids below the limit are as if they were not there. */
  const approximate = (document: number, limit: number): number => {
    const kept = centroidsOf(document).filter((centroid) => best[centroid] >= limit);
    if (kept.length === 0) return 0;
    most.fill(Number.NEGATIVE_INFINITY);
    for (const centroid of kept) {
      const row = centroid * tokens;
      for (let q = 0; q < tokens; q++) if (scores[row + q] > most[q]) most[q] = scores[row + q];
    }
    return most.reduce((sum, value) => sum + value, 0);
  };
  const keep = (documents: readonly number[], count: number, limit: number): number[] => {
    if (documents.length <= count) return [...documents];
    const approximations = Float64Array.from(documents, (document) => approximate(document, limit));
    return topScores(approximations, count).map(({ index }) => documents[index]);
  };
  const first = keep([...found], candidates, threshold);
  return keep(first, Math.ceil(candidates / 4), Number.NEGATIVE_INFINITY);
}
