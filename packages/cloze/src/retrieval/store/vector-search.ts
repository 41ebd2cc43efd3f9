// Vectors of an index: what may be added, and the nearest ones over its segments, as if they were one.
import { createNearest, type Nearest } from "@cloze/tensor";
import type { DataWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import type { Ranking } from "../evaluation/ranking.js";
import type { IndexSearchOptions } from "./contract.js";
import type { IndexedDocument } from "./document.js";
import { type LiveSegments, skipped } from "./live-segments.js";
import type { VectorCodec } from "./vector-codec.js";

/**
 * Refuses vectors that no search could use; those of zeros are warned of.
 *
 * @param rows [documents, width]
 * @throws INDEX_WIDTH, INDEX_VECTOR
 */
export function checkVectors(
  documents: readonly IndexedDocument[],
  rows: Float32Array | undefined,
  codec: VectorCodec,
  warnings: DataWarnings,
): void {
  if (rows === undefined || rows.length !== documents.length * codec.width) {
    throw new ClozeError("INDEX_WIDTH", "The vectors do not fit the index", {
      expected: `${documents.length} vectors of ${codec.width} numbers`,
      received: rows === undefined ? "none" : `${rows.length} numbers`,
      remedy: "Embed with the model that the index was made with.",
    });
  }
  for (let i = 0; i < documents.length; i++) {
    let zero = true;
    for (let c = i * codec.width; c < (i + 1) * codec.width; c++) {
      if (!Number.isFinite(rows[c])) {
        throw new ClozeError("INDEX_VECTOR", `The vector of ${documents[i].id} holds a number that is not finite`, {
          expected: "finite numbers",
          received: String(rows[c]),
          remedy: "Leave the document out, or check the model.",
        });
      }
      if (rows[c] !== 0) zero = false;
    }
    if (zero) warnings.add("INDEX_VECTOR_ZERO", "vectors of zeros, which are as near to everything", documents[i].id);
  }
}

/** What a search by vectors gets of an index that has none. @throws INDEX_NO_VECTORS */
export function noVectors(folder: string): never {
  throw new ClozeError("INDEX_NO_VECTORS", `${folder} holds words only`, {
    expected: "an index that was made with a model",
    received: "one without",
    remedy: "Search its words (--pipeline bm25), or index the documents again with --model.",
  });
}

/** A search over the segments of now: how each is visited, and what was found. */
function startSearch(live: LiveSegments, codec: VectorCodec, queries: Float32Array, options: IndexSearchOptions) {
  if (queries.length % codec.width !== 0) {
    throw new ClozeError("INDEX_WIDTH", "A query is as long as the documents' vectors", {
      expected: `${codec.width} numbers`,
      received: `${queries.length} numbers`,
      remedy: "Embed queries and documents with the same model.",
    });
  }
  const { depth, filter } = options;
  const segments = [...live.segments];
  const nearest = createNearest(queries, codec.width, Math.min(depth, Math.max(1, live.size)));
  const firsts: number[] = [];
  let first = 0;
  for (const segment of segments) {
    firsts.push(first);
    first += segment.size;
  }
  return {
    nearest,
    *visits(): Generator<Parameters<Nearest["visit"]>> {
      for (const [i, segment] of segments.entries())
        yield [codec.storage, segment.vectorRows(), firsts[i], skipped(segment, filter)];
    },
    found: (): Ranking[] =>
      nearest.hits().map((hits) =>
        hits.map(({ index: number, score }) => {
          let i = firsts.length - 1;
          while (firsts[i] > number) i--;
          return { id: segments[i].idOf(number - firsts[i]), score };
        }),
      ),
  };
}

/**
 * The best documents by inner product, for each query.
 *
 * @param queries [count, width]
 * @throws INDEX_WIDTH
 */
export function searchVectors(
  live: LiveSegments,
  codec: VectorCodec,
  queries: Float32Array,
  options: IndexSearchOptions,
): Ranking[] {
  const { nearest, visits, found } = startSearch(live, codec, queries, options);
  for (const visit of visits()) nearest.visit(...visit);
  return found();
}

/** The same on other threads. */
export async function searchVectorsAsync(
  live: LiveSegments,
  codec: VectorCodec,
  queries: Float32Array,
  options: IndexSearchOptions,
): Promise<Ranking[]> {
  const { nearest, visits, found } = startSearch(live, codec, queries, options);
  for (const visit of visits()) await nearest.visitAsync(...visit);
  return found();
}
