import { z } from "zod";
import { type Rm3Options, rm3Terms } from "../rm3.js";
import { defineFeedbackExpansion, type FeedbackExpansion } from "./feedback-expansion.js";

/** RM3 with options in code. */
export const rm3Expansion = (options: Rm3Options = {}): FeedbackExpansion => ({
  type: "rm3",
  feedbackDocuments: options.feedbackDocuments ?? 10,
  async expand(query, found, index) {
    const documents = found.map(({ score, text }) => ({ score, terms: index.terms(text) }));
    const shares = await index.shares([...new Set(documents.flatMap(({ terms }) => terms))]);
    return rm3Terms(index.terms(query), documents, (term) => shares.get(term) ?? 0, options);
  },
});

/** RM3 (Abdul-Jaleel 2004): the words that the documents found first hold most often, by the scores of these. */
export const rm3 = defineFeedbackExpansion({
  type: "rm3",
  description: "the commonest words of the documents that were found first",
  needsEncoder: false,
  options: z.strictObject({
    feedbackDocuments: z.int().positive().default(10).describe("documents that are taken for relevant"),
    feedbackTerms: z.int().positive().default(10).describe("words that are kept of each, and of the new query"),
    originalWeight: z.number().min(0).max(1).default(0.5).describe("weight of the query as it was, 0 to 1"),
    mostFrequent: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .describe("words in a larger share of the documents are left out"),
  }),
  create: rm3Expansion,
});
