// Retrievers over documents in memory.
import { scope, tensor } from "@cloze/tensor";
import type { Bm25Index } from "../bm25.js";
import type { Ranking } from "../evaluation/ranking.js";
import type { ExactIndex } from "../exact.js";
import type { LateInteractionIndex } from "../late-interaction/late-interaction-index.js";
import type { LateSearchOptions } from "../late-interaction/late-search.js";
import type { ImpactIndex, SparseVector } from "../learned-sparse/impact-index.js";
import type { SearchHit } from "../search-hit.js";
import type { Retriever } from "./retriever.js";
import type { TextEncoder, TextVectors } from "./text-vectors.js";

const ranking = (hits: readonly SearchHit[], ids: readonly string[]): Ranking =>
  hits.map(({ index, score }) => ({ id: ids[index], score }));

/** BM25. @param ids of the index's documents */
export const bm25Retriever = (index: Bm25Index, ids: readonly string[]): Retriever => ({
  name: "bm25",
  unfound: 0,
  async search(queries, { depth }) {
    return queries.map((query) => ranking(index.search(query, depth), ids));
  },
});

/** Inner products with every document's vector. @param dead documents that are never found */
export const denseRetriever = (
  index: ExactIndex,
  ids: readonly string[],
  vectors: TextVectors,
  dead: ReadonlySet<number> = new Set(),
): Retriever => ({
  name: "dense",
  async search(queries, { depth }) {
    if (queries.length === 0) return [];
    const embedded = await vectors.embed(queries, "query");
    const wanted = Math.min(index.size, depth + dead.size);
    const found = scope(() => index.search(tensor(embedded, [queries.length, vectors.width]), wanted));
    return found.map((hits) =>
      ranking(
        hits.filter(({ index: document }) => !dead.has(document)),
        ids,
      ).slice(0, depth),
    );
  },
});

/** Inner products of sparse vectors. @param dead documents that are never found */
export const impactRetriever = (
  index: ImpactIndex,
  ids: readonly string[],
  encoder: TextEncoder<SparseVector>,
  dead: ReadonlySet<number> = new Set(),
): Retriever => ({
  name: "sparse",
  unfound: 0,
  async search(queries, { depth }) {
    return encoder.encode(queries, { role: "query" }).map((query) =>
      ranking(
        index.search(query, depth + dead.size).filter(({ index: document }) => !dead.has(document)),
        ids,
      ).slice(0, depth),
    );
  },
});

/** MaxSim over the vectors of tokens. @param dead documents that are never found */
export const lateInteractionRetriever = (
  index: LateInteractionIndex,
  ids: readonly string[],
  encoder: TextEncoder<Float32Array>,
  { dead = new Set<number>(), ...options }: LateSearchOptions & { dead?: ReadonlySet<number> } = {},
): Retriever => ({
  name: "late interaction",
  async search(queries, { depth }) {
    const found = index.searchAll(encoder.encode(queries, { role: "query" }), depth + dead.size, options);
    return found.map((hits) =>
      ranking(
        hits.filter(({ index: document }) => !dead.has(document)),
        ids,
      ).slice(0, depth),
    );
  },
});
