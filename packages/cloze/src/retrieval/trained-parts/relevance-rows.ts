// Judgements as rows of one document, for rerankers that say of each whether it answers the query.
import { withTitle } from "../rerank/rerankers.js";
import type { JudgedQuery } from "./trained-part.js";

/** A query and a document that answers it, or does not. */
export interface RelevanceRow {
  readonly query: string;
  readonly document: string;
  readonly relevant: boolean;
}

/** A row for each document of each query: those that answer it, then the others. */
export const relevanceRows = (queries: readonly JudgedQuery[]): RelevanceRow[] =>
  queries.flatMap(({ query, relevant, others }) => [
    ...relevant.map((document) => ({ query, document: withTitle(document), relevant: true })),
    ...others.map((document) => ({ query, document: withTitle(document), relevant: false })),
  ]);
