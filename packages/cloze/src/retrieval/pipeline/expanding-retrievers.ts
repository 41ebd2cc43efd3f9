// BM25 over documents in memory with queries that what was found first makes longer.
import type { Model } from "../../families/model.js";
import type { Tokenizer } from "../../text/index.js";
import type { Bm25Index } from "../bm25.js";
import type { WeightedTerms } from "../lexical/bm25-formula.js";
import type { SearchHit } from "../search-hit.js";
import { type CeqeOptions, ceqeWeights, type MixOptions, mixQuery } from "./ceqe.js";
import type { Retriever } from "./retriever.js";
import { type Rm3Options, rm3Terms } from "./rm3.js";
import { wordStates } from "./word-states.js";

/** Searches twice: once for documents, once with what `expand` makes of the query and of them. */
const searchTwice = (
  name: string,
  index: Bm25Index,
  ids: readonly string[],
  first: number,
  expand: (query: string, found: readonly SearchHit[]) => WeightedTerms,
): Retriever => ({
  name,
  unfound: 0,
  async search(queries, { depth }) {
    return queries.map((query) => {
      const found = index.search(query, first);
      const hits = index.search(found.length === 0 ? query : expand(query, found), depth);
      return hits.map(({ index: document, score }) => ({ id: ids[document], score }));
    });
  },
});

/**
 * BM25 with RM3.
 *
 * @param ids of the index's documents
 * @param texts of the index's documents, by their places
 */
export const rm3Retriever = (
  index: Bm25Index,
  ids: readonly string[],
  texts: (document: number) => string,
  options: Rm3Options = {},
): Retriever =>
  searchTwice("bm25+rm3", index, ids, options.feedbackDocuments ?? 10, (query, found) =>
    rm3Terms(
      index.terms(query),
      found.map(({ index: document, score }) => ({ score, terms: index.terms(texts(document)) })),
      (term) => index.statistics.frequency(term) / Math.max(1, index.statistics.documents),
      options,
    ),
  );

export interface CeqeRetrieverOptions extends CeqeOptions, MixOptions {
  /** Documents that words are taken of; 20 unless told. */
  feedbackDocuments?: number;
  /** Tokens of a chunk of a document; 128 unless told. */
  maxLength?: number;
}

/** BM25 with CEQE; words are the index's own terms. @param encoder whose states are compared, with its tokenizer */
export const ceqeRetriever = (
  index: Bm25Index,
  ids: readonly string[],
  texts: (document: number) => string,
  encoder: { readonly model: Model; readonly tokenizer: Tokenizer },
  options: CeqeRetrieverOptions = {},
): Retriever =>
  searchTwice("bm25+ceqe", index, ids, options.feedbackDocuments ?? 20, (query, found) => {
    const { maxLength } = options;
    const analyze = (text: string) => index.terms(text);
    const all = [query, ...found.map(({ index: document }) => texts(document))];
    const [asked, ...documents] = wordStates(encoder.model, encoder.tokenizer, all, { analyze, maxLength });
    const mentions = documents.map((document, i) => ({ ...document, score: found[i].score }));
    return mixQuery(index.terms(query), ceqeWeights(asked.vectors, mentions, options), options);
  });
