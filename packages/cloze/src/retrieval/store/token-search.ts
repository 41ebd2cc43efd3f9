// Token vectors in an index: what may be added, and the best documents by late interaction over its segments, as if they were
// one.
import { ClozeError } from "../../errors.js";
import type { Ranking } from "../evaluation/ranking.js";
import {
  type CompressedTokens,
  type LateSearchOptions,
  searchLate,
  searchLateTogether,
} from "../late-interaction/late-search.js";
import { plaidSettings } from "../late-interaction/plaid.js";
import type { TokenCodec } from "../late-interaction/token-codec.js";
import type { IndexSearchOptions } from "./contract.js";
import type { IndexedDocument } from "./document.js";
import { type LiveSegments, skipped } from "./live-segments.js";
import type { TokenFacts } from "./manifest.js";
import { centroidBytes, centroidsIn, tokenBytesOf, unpackTokens } from "./token-codes.js";

/** PLAID's stages are those of `plaidSettings(depth)` where they are not told. */
export interface TokenSearchOptions extends IndexSearchOptions, LateSearchOptions {
  /** Decode the tokens of every document, not only of those that PLAID's stages leave. Default false. */
  readonly exact?: boolean;
}

/** Codes keep directions alone: a token's vector must be of length 1, but for what rounding does to it. */
const lengthTolerance = 0.01;

/** What is wrong with the vectors of tokens; undefined: nothing. */
function faultOf(rows: Float32Array, width: number): string | undefined {
  for (let start = 0; start < rows.length; start += width) {
    let squares = 0;
    for (let c = start; c < start + width; c++) squares += rows[c] ** 2;
    if (!(Math.abs(Math.sqrt(squares) - 1) <= lengthTolerance))
      return Number.isFinite(squares) ? `one of length ${Math.sqrt(squares)}` : "a number that is not finite";
  }
  return undefined;
}

const widthError = (message: string, expected: string, received: string): ClozeError =>
  new ClozeError("INDEX_WIDTH", message, {
    expected,
    received,
    remedy: "Encode queries and documents with the model that the index was made with.",
  });

/**
 * Refuses token vectors that no search could use.
 *
 * @param tokens for each document [tokens, width]
 * @throws INDEX_WIDTH; INDEX_VECTOR for vectors that are not finite or not of length 1
 */
export function checkTokens(
  documents: readonly IndexedDocument[],
  tokens: readonly Float32Array[] | undefined,
  { width }: Pick<TokenFacts, "width">,
): readonly Float32Array[] {
  if (tokens?.length !== documents.length) {
    throw widthError(
      "The token vectors do not fit the documents",
      `those of ${documents.length} documents`,
      tokens === undefined ? "none" : `those of ${tokens.length}`,
    );
  }
  for (const [i, rows] of tokens.entries()) {
    if (rows.length % width !== 0) {
      throw widthError(
        `The token vectors of ${documents[i].id} do not fit the index`,
        `rows of ${width} numbers`,
        `${rows.length} numbers`,
      );
    }
    const fault = faultOf(rows, width);
    if (fault === undefined) continue;
    throw new ClozeError("INDEX_VECTOR", `A token's vector of ${documents[i].id} cannot be searched by`, {
      expected: "finite numbers, of length 1",
      received: fault,
      remedy: "Leave the document out, or check the model.",
    });
  }
  return tokens;
}

/** What a search by token vectors gets of an index that has none. */
export const noTokens = (
  index: string,
  remedy = "Index the documents again, --model being an encoder of cloze train --encoder colbert.",
): ClozeError =>
  new ClozeError("INDEX_NO_TOKENS", `${index} holds no token vectors`, {
    expected: "an index that was made with an encoder of tokens",
    received: "one without",
    remedy,
  });

/** The segments as one, and how many of their documents the filter lets through. */
function tokensOf(
  { segments }: LiveSegments,
  codec: TokenCodec,
  filter: IndexSearchOptions["filter"],
): CompressedTokens & { readonly found: number; idOf(document: number): string } {
  const tokenBytes = tokenBytesOf(codec);
  let size = 0;
  let found = 0;
  const parts = segments.map((segment) => {
    const part = { segment, first: size, skip: skipped(segment, filter) };
    size += segment.size;
    for (let document = 0; document < segment.size; document++) if (part.skip[document] === 0) found++;
    return part;
  });
  const partOf = (document: number) => {
    let i = parts.length - 1;
    while (parts[i].first > document) i--;
    return { segment: parts[i].segment, place: document - parts[i].first };
  };
  return {
    found,
    *documents() {
      for (const { segment, first, skip } of parts)
        for (let document = 0; document < segment.size; document++) if (skip[document] === 0) yield first + document;
    },
    *cell(centroid) {
      for (const { segment, first, skip } of parts)
        for (const document of segment.cells.read(String(centroid))?.documents ?? [])
          if (skip[document] === 0) yield first + document;
    },
    centroidsOf(document) {
      const { segment, place } = partOf(document);
      const bytes = segment.readTokens(place, centroidBytes);
      return centroidsIn(bytes, bytes.length / centroidBytes);
    },
    codesOf(document) {
      const { segment, place } = partOf(document);
      return unpackTokens(segment.readTokens(place, tokenBytes), tokenBytes);
    },
    idOf(document) {
      const { segment, place } = partOf(document);
      return segment.idOf(place);
    },
  };
}

/**
 * The best documents by MaxSim, for each query. Documents without tokens are never found.
 *
 * @param codec absent: there are no tokens yet
 * @param queries for each [tokens, width]
 * @throws INDEX_WIDTH, INDEX_VECTOR
 */
export function searchTokens(
  live: LiveSegments,
  codec: TokenCodec | undefined,
  { width }: Pick<TokenFacts, "width">,
  queries: readonly Float32Array[],
  { depth, filter, exact = false, ...told }: TokenSearchOptions,
): Ranking[] {
  for (const query of queries) {
    if (query.length % width !== 0)
      throw widthError(
        "A query is rows as long as the tokens' vectors",
        `rows of ${width} numbers`,
        `${query.length} numbers`,
      );
    if (query.every(Number.isFinite)) continue;
    throw new ClozeError("INDEX_VECTOR", "A query's vectors hold a number that is not finite", {
      expected: "finite numbers",
      received: String(query.find((value) => !Number.isFinite(value))),
      remedy: "Check the model.",
    });
  }
  if (codec === undefined) return queries.map(() => []);
  const tokens = tokensOf(live, codec, filter);
  const plaid = { ...plaidSettings(depth), ...told };
  // Where as few can be found as would be decoded at last, the stages before save nothing, and may lose some.
  const all = exact || tokens.found <= Math.ceil(plaid.candidates / 4);
  const most = Math.min(depth, Math.max(1, live.size));
  const found =
    all && queries.length > 1
      ? searchLateTogether(queries, codec, tokens, most)
      : queries.map((query) => searchLate(query, codec, tokens, most, all ? {} : plaid));
  return found.map((hits) => hits.map(({ index, score }) => ({ id: tokens.idOf(index), score })));
}
