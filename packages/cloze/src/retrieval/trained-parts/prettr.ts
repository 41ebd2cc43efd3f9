import { z } from "zod";
import { createSplitRanker, type SplitRanker } from "../rerank/split-ranker.js";
import { isSplitRankerFolder, loadSplitRanker, saveSplitRanker } from "../rerank/split-ranker-folder.js";
import { trainStateCodec } from "../rerank/state-codec.js";
import { trainSplitRanker } from "../rerank/train-split-ranker.js";
import { relevanceRows } from "./relevance-rows.js";
import { defineTrainedPart, type TrainedPart } from "./trained-part.js";

/** Documents that a new codec is fitted to, before all is trained together, and the steps of that. */
const fitted = { documents: 256, steps: 100 };

const partOf = (ranker: SplitRanker, isNew: boolean): TrainedPart => ({
  rows: (queries) => relevanceRows(queries).length,
  async train(queries, options) {
    const rows = relevanceRows(queries);
    // States that come out as noise would undo what the upper layers know.
    if (isNew && ranker.codec !== undefined && rows.length > 0) {
      const texts = [...new Set(rows.map(({ document }) => document))].slice(0, fitted.documents);
      await trainStateCodec(ranker.codec, ranker.read(texts), { steps: fitted.steps, seed: options.seed });
    }
    return trainSplitRanker(ranker, rows, options);
  },
  save: (folder) => saveSplitRanker(ranker, folder),
  dispose: () => ranker.dispose(),
});

/** PreTTR (MacAvaney 2020): documents go through the lower layers once, and are kept. */
export const prettr = defineTrainedPart({
  type: "prettr",
  description:
    "a reranker whose lower layers read documents once, and keep what they read in --states (PreTTR): for --rerank, cloze rerank",
  readsOthers: true,
  options: z.strictObject({
    layer: z
      .int()
      .nonnegative()
      .optional()
      .describe("layers that read documents without the query (default: all but two)"),
    codec: z
      .int()
      .nonnegative()
      .default(0)
      .describe("numbers of 16 bits in which a token is kept; 0: its whole state, in 32 bits"),
    queryLength: z.int().min(4).default(32).describe("tokens of a query at most"),
    maxLength: z.int().min(16).default(256).describe("tokens of a query with a document at most"),
  }),
  recognises: isSplitRankerFolder,
  load: (folder) => partOf(loadSplitRanker(folder), false),
  create(model, tokenizer, { layer, ...settings }, seed) {
    const below = layer ?? Math.max(0, model.encoder.config.layers.length - 2);
    return partOf(createSplitRanker(model, tokenizer, { ...settings, layer: below }, { seed }), true);
  },
});
