// Weighters of words: DeepCT from the words of queries, DeepImpact from what answers them.
import { z } from "zod";
import { createTermWeighter, type TermWeighter, type TermWeighting } from "../term-weighting/term-weighter.js";
import { isTermWeighterFolder, loadTermWeighter, saveTermWeighter } from "../term-weighting/term-weighter-folder.js";
import { type TermRecallRow, termRecall, trainTermWeighter } from "../term-weighting/train-term-weighter.js";
import { fullText } from "../test-collection/texts.js";
import { scoreRows } from "./score-rows.js";
import { defineTrainedPart, type JudgedQuery, type TrainedPart } from "./trained-part.js";

/** Each document that answers a query, once, with the share of its queries that hold a word. */
function recallRows(weighter: TermWeighter, queries: readonly JudgedQuery[]): TermRecallRow[] {
  const asked = new Map<string, string[][]>();
  for (const { query, relevant } of queries) {
    const terms = weighter.terms(query);
    for (const document of relevant) {
      const text = fullText(document);
      asked.set(text, [...(asked.get(text) ?? []), terms]);
    }
  }
  return [...asked].map(([text, terms]) => ({ text, recall: termRecall(terms) }));
}

const rowsOf = (weighter: TermWeighter, queries: readonly JudgedQuery[]) =>
  weighter.type === "deepct" ? recallRows(weighter, queries) : scoreRows(queries);

const partOf = (weighter: TermWeighter): TrainedPart => ({
  rows: (queries) => rowsOf(weighter, queries).length,
  train: (queries, options) => trainTermWeighter(weighter, rowsOf(weighter, queries), options),
  save: (folder) => saveTermWeighter(weighter, folder),
  dispose: () => weighter.dispose(),
});

const weighterPart = (type: TermWeighting, description: string) =>
  defineTrainedPart({
    type,
    description: `${description}: for cloze index --model, --pipeline term-weights`,
    readsOthers: type !== "deepct",
    options: z.strictObject({
      maxLength: z.int().min(8).default(256).describe("tokens of a document; words behind them have no weight"),
      stemmer: z.enum(["none", "english"]).default("none").describe("stems of words: none, english"),
      stopWords: z.enum(["none", "english"]).default("none").describe("words that are left out: none, english"),
    }),
    recognises: (folder) => isTermWeighterFolder(folder),
    load: (folder) => partOf(loadTermWeighter(folder)),
    create: (model, tokenizer, settings, seed) =>
      partOf(createTermWeighter(model, tokenizer, { ...settings, type }, { seed })),
  });

/** DeepCT (Dai and Callan 2020): a word weighs as much as the share of a document's queries that hold it. */
export const deepct = weighterPart("deepct", "weights of documents' words, learned from the words of queries (DeepCT)");
/** DeepImpact (Mallia 2021): words weigh so that documents which answer a query outweigh others. */
export const deepimpact = weighterPart(
  "deepimpact",
  "weights of documents' words, learned from what answers queries and what does not (DeepImpact)",
);
