// Vectors of an index: what may be added, and the nearest ones over its segments, as if they were one.
import { createNearest } from "@cloze/tensor";
import type { DataWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import type { Ranking } from "../evaluation/ranking.js";
import type { IndexedDocument } from "./document.js";
import { type LiveSegments, skipped } from "./live-segments.js";
import type { IndexSearchOptions } from "./search-index.js";
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
  { depth, filter }: IndexSearchOptions,
): Ranking[] {
  const { segments } = live;
  if (queries.length % codec.width !== 0) {
    throw new ClozeError("INDEX_WIDTH", "A query is as long as the documents' vectors", {
      expected: `${codec.width} numbers`,
      received: `${queries.length} numbers`,
      remedy: "Embed queries and documents with the same model.",
    });
  }
  const nearest = createNearest(queries, codec.width, Math.min(depth, Math.max(1, live.size)));
  const firsts: number[] = [];
  let first = 0;
  for (const segment of segments) {
    firsts.push(first);
    const rows = segment.vectorRows();
    nearest.visit(codec.storage, rows, first, skipped(segment, filter));
    first += segment.size;
  }
  return nearest.hits().map((hits) =>
    hits.map(({ index: number, score }) => {
      let i = firsts.length - 1;
      while (firsts[i] > number) i--;
      return { id: segments[i].idOf(number - firsts[i]), score };
    }),
  );
}
