// What a way to expand queries by the documents that they find first is. A new one is a file here and a line in `index.ts`.
import type { z } from "zod";
import type { Model } from "../../../families/model.js";
import type { Tokenizer } from "../../../text/index.js";
import type { WeightedTerms } from "../../lexical/bm25-formula.js";
import type { Retriever } from "../retriever.js";
import type { WordIndex } from "../word-index.js";

/** An encoder whose states are compared, with its tokenizer. */
export interface FeedbackEncoder {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
}

/** A document that was found first. */
export interface FoundText {
  readonly score: number;
  readonly text: string;
}

/** Makes of a query and of the documents that it found what is searched with. */
export interface FeedbackExpansion {
  readonly type: string;
  /** Documents that are found first. */
  readonly feedbackDocuments: number;
  /** @param found at least one, best first */
  expand(query: string, found: readonly FoundText[], index: WordIndex): Promise<WeightedTerms>;
}

/** A way to expand queries. */
export interface FeedbackExpansionKind {
  readonly type: string;
  /** One line for help and tables. */
  readonly description: string;
  /** Whether it reads texts with an encoder. */
  readonly needsEncoder: boolean;
  /** Settings with their defaults and descriptions. */
  readonly options: z.ZodObject;
  create(settings: Readonly<Record<string, unknown>>, encoder?: FeedbackEncoder): FeedbackExpansion;
}

/** Ties a way to its settings' types. */
export const defineFeedbackExpansion = <Schema extends z.ZodObject, Needs extends boolean>(
  kind: Omit<FeedbackExpansionKind, "options" | "needsEncoder" | "create"> & {
    needsEncoder: Needs;
    options: Schema;
    create(
      settings: z.output<Schema>,
      encoder: Needs extends true ? FeedbackEncoder : FeedbackEncoder | undefined,
    ): FeedbackExpansion;
  },
): FeedbackExpansionKind => kind as unknown as FeedbackExpansionKind;

/**
 * BM25 that searches twice: once for documents, once with what the expansion makes of the query and of them. A query that finds
 * nothing finds nothing.
 *
 * @example
 * const search = searchTwice(storeWordIndex(store), createFeedbackExpansion({ type: "rm3" }));
 */
export const searchTwice = (index: WordIndex, expansion: FeedbackExpansion): Retriever => ({
  name: `bm25+${expansion.type}`,
  unfound: 0,
  async search(queries, options) {
    const rankings = [];
    for (const query of queries) {
      const found = await index.search(query, { ...options, depth: expansion.feedbackDocuments });
      if (found.length === 0) {
        rankings.push(found);
        continue;
      }
      const texts = await index.texts(found.map(({ id }) => id));
      const feedback = found.map(({ score }, i) => ({ score, text: texts[i] }));
      rankings.push(await index.search(await expansion.expand(query, feedback, index), options));
    }
    return rankings;
  },
});
