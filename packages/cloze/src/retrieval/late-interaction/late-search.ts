// Late interaction (ColBERT, Khattab 2020): a document scores the sum, over the query's tokens, of the largest inner product
// with any of its tokens. Candidates are the documents with a token near one of the query's (PLAID, Santhanam 2022).

import { createNearest, noGrad, scope, tensor } from "@cloze/tensor";
import { joinArrays } from "../../data/join-arrays.js";
import type { SearchHit } from "../search-hit.js";
import { topScores } from "../top-scores.js";
import { maxSimMatrix } from "./max-sim.js";
import { type PlaidOptions, pruneByCentroids } from "./plaid.js";
import type { TokenCodec, TokenCodes } from "./token-codec.js";

/** All documents are decoded unless told; `plaidSettings(k)` gives the usual numbers. */
export interface LateSearchOptions extends Partial<PlaidOptions> {}

/** Compressed tokens of documents, wherever they lie; documents are numbers from 0. */
export interface CompressedTokens {
  /** Those that may be found. */
  documents(): Iterable<number>;
  /** Those of them with a token nearest to a centroid. */
  cell(centroid: number): Iterable<number>;
  /** The centroids of a document's tokens. */
  centroidsOf(document: number): Uint16Array | Uint32Array;
  codesOf(document: number): TokenCodes;
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

/** {@link maxSim} by the kernel that finds nearest rows. */
function maxSimByKernel(query: Float32Array, document: Float32Array, width: number): number {
  if (document.length === 0) return Number.NEGATIVE_INFINITY;
  const nearest = createNearest(query, width, 1);
  nearest.visit("float32", new Uint8Array(document.buffer, document.byteOffset, document.byteLength), 0);
  return nearest.hits().reduce((total, [best]) => total + best.score, 0);
}

function candidatesOf(query: Float32Array, codec: TokenCodec, tokens: CompressedTokens, count: number): Set<number> {
  const found = new Set<number>();
  for (const centroid of new Set(codec.nearest(query, count).flat()))
    for (const document of tokens.cell(centroid)) found.add(document);
  return found;
}

/** Tokens of documents that are decoded together, and queries whose products with them are computed at once. */
const [blockTokens, queriesAtOnce] = [2048, 64];

const rowsBefore = (rows: readonly Float32Array[], width: number): Int32Array => {
  const ends = new Int32Array(rows.length + 1);
  rows.forEach(({ length }, i) => {
    ends[i + 1] = ends[i] + length / width;
  });
  return ends;
};

/** Scores that are held at once: 128 MB. Queries beyond them wait for another pass over the documents. */
const usualScores = 1 << 25;

/**
 * What {@link searchLate} finds for each of several queries where every document is decoded: each is decoded once for as many
 * of them as have room, and products are computed together, so that scores are equal up to rounding.
 *
 * @param mostScores numbers that are held at once, one at least for each document. Default 33,554,432 (128 MB)
 */
export function searchLateTogether(
  queries: readonly Float32Array[],
  codec: TokenCodec,
  tokens: CompressedTokens,
  k: number,
  mostScores = usualScores,
): SearchHit[][] {
  const documents = Uint32Array.from(tokens.documents()).sort();
  const asked = queries.filter(({ length }) => length > 0);
  const room = Math.max(1, Math.floor(mostScores / Math.max(1, documents.length)));
  const found: SearchHit[][] = [];
  for (let start = 0; start < asked.length; start += room)
    found.push(...searchPass(asked.slice(start, start + room), documents, codec, tokens, k));
  let next = 0;
  return queries.map(({ length }) => (length === 0 ? [] : found[next++]));
}

/** One pass over the documents. @param asked queries with a token at least @param documents ascending */
function searchPass(
  asked: readonly Float32Array[],
  documents: Uint32Array,
  codec: TokenCodec,
  tokens: CompressedTokens,
  k: number,
): SearchHit[][] {
  const { width } = codec;
  const scores = asked.map(() => new Float32Array(documents.length).fill(Number.NEGATIVE_INFINITY));
  const groups = Array.from({ length: Math.ceil(asked.length / queriesAtOnce) }, (_, g) => {
    const own = asked.slice(g * queriesAtOnce, (g + 1) * queriesAtOnce);
    return {
      first: g * queriesAtOnce,
      count: own.length,
      rows: joinArrays(own, Float32Array),
      ends: rowsBefore(own, width),
    };
  });
  let places: number[] = [];
  let block: Float32Array[] = [];
  let held = 0;
  const flush = (): void => {
    if (block.length === 0) return;
    const [rows, ends] = [joinArrays(block, Float32Array), rowsBefore(block, width)];
    for (const group of groups) {
      const found = scope(() =>
        noGrad(() => {
          const queryRows = tensor(group.rows, [group.rows.length / width, width]);
          return maxSimMatrix(queryRows, group.ends, tensor(rows, [held, width]), ends).toTypedArray() as Float32Array;
        }),
      ); // [queries of the group, documents of the block]
      for (let q = 0; q < group.count; q++)
        places.forEach((place, d) => {
          scores[group.first + q][place] = found[q * places.length + d];
        });
    }
    [places, block, held] = [[], [], 0];
  };
  for (const [place, document] of documents.entries()) {
    const rows = codec.decode(tokens.codesOf(document));
    // A document without tokens is as far as can be.
    if (rows.length === 0) continue;
    places.push(place);
    block.push(rows);
    held += rows.length / width;
    if (held >= blockTokens) flush();
  }
  flush();
  return scores.map((own) => topScores(own, k).map(({ index, score }) => ({ index: documents[index], score })));
}

/** The best documents by MaxSim, best first; none for a query without tokens. query: [tokens, width] */
export function searchLate(
  query: Float32Array,
  codec: TokenCodec,
  tokens: CompressedTokens,
  k: number,
  { cells, threshold = Number.NEGATIVE_INFINITY, candidates: most }: LateSearchOptions = {},
): SearchHit[] {
  if (query.length === 0) return [];
  const found = cells === undefined ? tokens.documents() : candidatesOf(query, codec, tokens, cells);
  const candidates =
    most === undefined
      ? found
      : pruneByCentroids(query, codec, tokens.centroidsOf, found, { threshold, candidates: most });
  // Ascending, so that of equal scores the earlier document comes first.
  const documents = Uint32Array.from(candidates).sort();
  const scores = Float64Array.from(documents, (document) =>
    maxSimByKernel(query, codec.decode(tokens.codesOf(document)), codec.width),
  );
  return topScores(scores, k).map(({ index, score }) => ({ index: documents[index], score }));
}
