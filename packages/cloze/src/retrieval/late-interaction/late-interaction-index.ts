// Compressed token vectors in memory, searched by late interaction.
import { ClozeError } from "../../errors.js";
import type { SearchHit } from "../search-hit.js";
import { type LateSearchOptions, searchLate, searchLateTogether } from "./late-search.js";
import { sampleTokens, type TokenCodecOptions, trainTokenCodec } from "./token-codec.js";

export interface LateInteractionOptions extends TokenCodecOptions {
  /** Tokens that the codec is learned from at most. Default 100,000. */
  sampleTokens?: number;
}

export interface LateInteractionIndex {
  readonly size: number;
  /** Bytes of all tokens. */
  readonly bytes: number;
  /** Best first. query: [tokens, width] */
  search(query: Float32Array, k: number, options?: LateSearchOptions): SearchHit[];
  /**
   * The same for several queries, up to rounding of scores: where all documents are decoded, each is for many queries at
   * once, in 128 MB of scores.
   */
  searchAll(queries: readonly Float32Array[], k: number, options?: LateSearchOptions): SearchHit[][];
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
  { sampleTokens: most, ...options }: LateInteractionOptions = {},
): LateInteractionIndex {
  const wrong = documents.findIndex((tokens) => tokens.length % width !== 0);
  if (wrong >= 0 || documents.every(({ length }) => length === 0)) {
    throw new ClozeError("INDEX_WIDTH", "Documents are rows of token vectors, and not all are empty", {
      expected: `multiples of ${width} numbers`,
      received: wrong < 0 ? "no token at all" : `${documents[wrong].length} numbers in document ${wrong}`,
    });
  }
  const codec = trainTokenCodec(sampleTokens(documents, width, most), width, options);
  const codes = documents.map((tokens) => codec.encode(tokens));
  const cells = new Map<number, Set<number>>();
  for (const [d, { centroids }] of codes.entries()) {
    for (const centroid of centroids) {
      const cell = cells.get(centroid) ?? new Set<number>();
      cell.add(d);
      cells.set(centroid, cell);
    }
  }
  const tokens = {
    documents: () => documents.keys(),
    cell: (centroid: number) => cells.get(centroid) ?? [],
    centroidsOf: (document: number) => codes[document].centroids,
    codesOf: (document: number) => codes[document],
  };
  return {
    size: documents.length,
    bytes: codes.reduce((sum, { centroids, residuals }) => sum + centroids.byteLength + residuals.byteLength, 0),
    search: (query, k, options) => searchLate(query, codec, tokens, k, options),
    searchAll: (queries, k, options = {}) =>
      options.cells === undefined && options.candidates === undefined && queries.length > 1
        ? searchLateTogether(queries, codec, tokens, k)
        : queries.map((query) => searchLate(query, codec, tokens, k, options)),
  };
}
