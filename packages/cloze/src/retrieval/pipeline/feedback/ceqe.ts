import { z } from "zod";
import { type CeqeOptions, ceqeWeights, type MixOptions, mixQuery } from "../ceqe.js";
import { wordStates } from "../word-states.js";
import { defineFeedbackExpansion, type FeedbackEncoder, type FeedbackExpansion } from "./feedback-expansion.js";

export interface CeqeExpansionOptions extends CeqeOptions, MixOptions {
  /** Documents that words are taken of; 20 unless told. */
  feedbackDocuments?: number;
  /** Tokens of a chunk of a document; 128 unless told. */
  maxLength?: number;
}

/** CEQE with options in code; words are the index's own terms. */
export const ceqeExpansion = (
  { model, tokenizer }: FeedbackEncoder,
  options: CeqeExpansionOptions = {},
): FeedbackExpansion => ({
  type: "ceqe",
  feedbackDocuments: options.feedbackDocuments ?? 20,
  async expand(query, found, index) {
    const { maxLength } = options;
    const analyze = (text: string) => index.terms(text);
    const all = [query, ...found.map(({ text }) => text)];
    const [asked, ...documents] = wordStates(model, tokenizer, all, { analyze, maxLength });
    const mentions = documents.map((document, i) => ({ ...document, score: found[i].score }));
    return mixQuery(index.terms(query), ceqeWeights(asked.vectors, mentions, options), options);
  },
});

/** CEQE (Naseri 2021): the words of the documents found first whose states are nearest to the query's. */
export const ceqe = defineFeedbackExpansion({
  type: "ceqe",
  description: "words of the documents that were found first, by how near an encoder's states are to the query's",
  needsEncoder: true,
  options: z.strictObject({
    feedbackDocuments: z.int().positive().default(20).describe("documents that words are taken of"),
    terms: z.int().positive().default(10).describe("words that are added"),
    originalWeight: z.number().min(0).max(1).default(0.5).describe("weight of the query as it was, 0 to 1"),
    pooling: z
      .enum(["centroid", "max", "product"])
      .default("centroid")
      .describe("one state for the query, or the largest or the product of the weights by each of its words"),
    maxLength: z.int().min(8).default(128).describe("tokens that the encoder reads at once"),
  }),
  create: (options, encoder) => ceqeExpansion(encoder, options),
});
