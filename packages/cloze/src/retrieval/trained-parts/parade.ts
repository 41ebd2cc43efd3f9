import { z } from "zod";
import { createParade, type Parade } from "../rerank/parade.js";
import { isParadeFolder, loadParade, saveParade } from "../rerank/parade-folder.js";
import { passageAggregations } from "../rerank/passage-aggregator.js";
import { type ParadeRow, trainParade } from "../rerank/train-parade.js";
import { defineTrainedPart, type JudgedQuery, type TrainedPart } from "./trained-part.js";

const rowsOf = (queries: readonly JudgedQuery[]): ParadeRow[] =>
  queries.flatMap(({ query, relevant, others }) => [
    ...relevant.map((document) => ({ query, document, relevant: true })),
    ...others.map((document) => ({ query, document, relevant: false })),
  ]);

const partOf = (parade: Parade): TrainedPart => ({
  rows: (queries) => rowsOf(queries).length,
  train: (queries, options) => trainParade(parade, rowsOf(queries), { learningRate: 2e-5, ...options }),
  save: (folder) => saveParade(parade, folder),
  dispose: () => parade.dispose(),
});

/** PARADE (Li 2020): a reranker that reads a query with each passage of a document, and all passages' states at once. */
export const parade = defineTrainedPart({
  type: "parade",
  description:
    "a reranker that reads long documents by all their passages at once (PARADE): for --rerank, cloze rerank",
  readsOthers: true,
  options: z.strictObject({
    aggregation: z
      .enum(passageAggregations)
      .default("transformer")
      .describe(`from passages' vectors to one: ${passageAggregations.join(", ")}`),
    layers: z.int().positive().default(2).describe("layers of transformer"),
    words: z.int().positive().default(150).describe("words of a passage"),
    stride: z.int().positive().default(100).describe("words from one passage's beginning to the next one's"),
    passages: z.int().positive().default(16).describe("passages of a document at most"),
    maxLength: z.int().min(16).default(256).describe("tokens of a query with a passage at most"),
  }),
  recognises: isParadeFolder,
  load: (folder) => partOf(loadParade(folder)),
  create: (model, tokenizer, settings, seed) => partOf(createParade(model, tokenizer, settings, { seed })),
});
