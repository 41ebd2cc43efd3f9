import { z } from "zod";
import { createTilde, isTildeFolder, loadTilde, saveTilde, type Tilde } from "../term-weighting/tilde-folder.js";
import { type TildeRow, trainTilde } from "../term-weighting/train-tilde.js";
import { fullText } from "../test-collection/texts.js";
import { defineTrainedPart, type JudgedQuery, type TrainedPart } from "./trained-part.js";

const rowsOf = (queries: readonly JudgedQuery[]): TildeRow[] =>
  queries.flatMap(({ query, relevant }) => relevant.map((document) => ({ query, document: fullText(document) })));

const partOf = (tilde: Tilde): TrainedPart => ({
  rows: (queries) => rowsOf(queries).length,
  train: (queries, options) => trainTilde(tilde, rowsOf(queries), options),
  save: (folder) => saveTilde(tilde, folder),
  dispose: () => tilde.dispose(),
});

/** TILDE (Zhuang and Zuccon 2021): how likely each token is in a document's queries. */
export const tilde = defineTrainedPart({
  type: "tilde",
  description:
    "how likely words are in a document's queries (TILDE), from a masked language model: for --expand-documents, --rerank, cloze rerank",
  readsOthers: false,
  options: z.strictObject({
    maxLength: z.int().min(8).default(192).describe("tokens of a text at most"),
    alpha: z
      .number()
      .min(0)
      .max(1)
      .default(1)
      .describe("reranking: weight of the query by the document; 1: no model reads queries"),
    expansionTerms: z.int().positive().default(200).describe("--expand-documents: likeliest tokens that are looked at"),
  }),
  recognises: isTildeFolder,
  load: (folder) => partOf(loadTilde(folder)),
  create: (model, tokenizer, settings) => partOf(createTilde(model, tokenizer, settings)),
});
