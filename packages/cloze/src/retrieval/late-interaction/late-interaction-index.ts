// Late interaction (ColBERT, Khattab 2020): a document scores the sum, over the query's tokens, of the largest inner product
// with any of its tokens. Candidates are the documents with a token near one of the query's (PLAID, Santhanam 2022).
import { ClozeError } from "../../errors.js";
import type { SearchHit } from "../search-hit.js";
import { topScores } from "../top-scores.js";
import { type PlaidOptions, pruneByCentroids } from "./plaid.js";
import { type TokenCodecOptions, type TokenCodes, trainTokenCodec } from "./token-codec.js";

export interface LateInteractionOptions extends TokenCodecOptions {
  /** Tokens that the codec is learned from; 100,000 unless told. */
  sampleTokens?: number;
}

/** All documents are decoded unless told; `plaidSettings(k)` gives the usual numbers. */
export interface LateSearchOptions extends Partial<PlaidOptions> {}

export interface LateInteractionIndex {
  readonly size: number;
  /** Bytes of all tokens. */
  readonly bytes: number;
  /** Best first. query: [tokens, width] */
  search(query: Float32Array, k: number, options?: LateSearchOptions): SearchHit[];
}

/** Sum over the query's tokens of the largest inner product with a document's tokens; -infinity for no tokens. */
export function maxSim(query: Float32Array, document: Float32Array, width: number): number {
  let total = 0;
  for (let q = 0; q < query.length; q += width) {
    let best = Number.NEGATIVE_INFINITY;
    for (let d = 0; d < document.length; d += width) {
      let product = 0;
      for (let c = 0; c < width; c++) product += query[q + c] * document[d + c];
      if (product > best) best = product;
    }
    total += best;
  }
  return total;
}

/**
 * Compresses and indexes the token vectors (of length 1) of documents.
 *
 * @param documents for each document [tokens, width]
 * @throws INDEX_WIDTH
 * @example
 * const index = createLateInteractionIndex(tokenVectors, 128);
 * const hits = index.search(queryVectors, 10, plaidSettings(10));
 */
export function createLateInteractionIndex(
  documents: readonly Float32Array[],
  width: number,
  { sampleTokens = 100_000, ...options }: LateInteractionOptions = {},
): LateInteractionIndex {
  const wrong = documents.findIndex((tokens) => tokens.length % width !== 0);
  if (wrong >= 0 || documents.every(({ length }) => length === 0)) {
    throw new ClozeError("INDEX_WIDTH", "Documents are rows of token vectors, and not all are empty", {
      expected: `multiples of ${width} numbers`,
      received: wrong < 0 ? "no token at all" : `${documents[wrong].length} numbers in document ${wrong}`,
    });
  }
  const starts = new Uint32Array(documents.length + 1);
  documents.forEach(({ length }, d) => {
    starts[d + 1] = starts[d] + length / width;
  });
  // Every so many tokens one, so that all documents have a part in the codec.
  const step = Math.max(1, Math.ceil(starts[documents.length] / sampleTokens));
  const sample: Float32Array[] = [];
  let token = 0;
  for (const tokens of documents)
    for (let at = 0; at < tokens.length; at += width)
      if (token++ % step === 0) sample.push(tokens.subarray(at, at + width));
  const flat = new Float32Array(sample.length * width);
  sample.forEach((row, i) => {
    flat.set(row, i * width);
  });
  const codec = trainTokenCodec(flat, width, options);
  const codes: TokenCodes[] = documents.map((tokens) => codec.encode(tokens));
  const cells = new Map<number, Set<number>>();
  for (const [d, { centroids }] of codes.entries()) {
    for (const centroid of centroids) {
      const cell = cells.get(centroid) ?? new Set<number>();
      cell.add(d);
      cells.set(centroid, cell);
    }
  }
  const candidatesOf = (query: Float32Array, count: number): Iterable<number> => {
    const found = new Set<number>();
    for (const centroids of codec.nearest(query, count))
      for (const centroid of centroids) for (const document of cells.get(centroid) ?? []) found.add(document);
    return found;
  };
  return {
    size: documents.length,
    bytes: codes.reduce((sum, { centroids, residuals }) => sum + centroids.byteLength + residuals.byteLength, 0),
    search(query, k, { cells: count, threshold = Number.NEGATIVE_INFINITY, candidates: most } = {}) {
      const scores = new Float64Array(documents.length).fill(Number.NEGATIVE_INFINITY);
      const found = count === undefined ? documents.keys() : candidatesOf(query, count);
      const candidates =
        most === undefined ? found : pruneByCentroids(query, codec, codes, found, { threshold, candidates: most });
      for (const document of candidates) scores[document] = maxSim(query, codec.decode(codes[document]), width);
      return topScores(scores, k);
    },
  };
}
