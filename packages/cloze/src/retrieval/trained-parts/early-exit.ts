import { z } from "zod";
import { createExitRanker } from "../rerank/early-exit.js";
import { type ExitModel, isExitFolder, loadExitModel, saveExitModel } from "../rerank/exit-folder.js";
import { trainExits } from "../rerank/rerank-exits.js";
import { relevanceRows } from "./relevance-rows.js";
import { defineTrainedPart, type TrainedPart } from "./trained-part.js";

const partOf = (exits: ExitModel): TrainedPart => ({
  rows: (queries) => relevanceRows(queries).length,
  train: (queries, options) =>
    trainExits(exits.ranker, relevanceRows(queries), {
      learningRate: 2e-5,
      ...options,
      tokenizer: exits.tokenizer,
      maxLength: exits.settings.maxLength,
    }),
  save: (folder) => saveExitModel(exits, folder),
  dispose: () => exits.ranker.dispose(),
});

/** Early exits (Xin 2020; Soldaini and Moschitti 2020): a reranker with an exit behind layers, which sure candidates take. */
export const earlyExit = defineTrainedPart({
  type: "early-exit",
  description: "a reranker that lets candidates leave behind lower layers, see --exits: for --rerank, cloze rerank",
  readsOthers: true,
  options: z.strictObject({
    every: z
      .int()
      .positive()
      .default(1)
      .describe("layers from one exit to the next; the last is behind the last layer"),
    maxLength: z.int().min(16).default(256).describe("tokens of a query with a document at most"),
  }),
  recognises: isExitFolder,
  load: (folder) => partOf(loadExitModel(folder)),
  create(model, tokenizer, { every, maxLength }, seed) {
    const { layers, maxPositions } = model.encoder.config;
    const numbers = layers.map((_, i) => i + 1);
    const exits = numbers.filter((layer) => (layers.length - layer) % every === 0);
    const settings = { exits, maxLength: Math.min(maxLength, maxPositions > 0 ? maxPositions : 512) };
    return partOf({ ranker: createExitRanker(model, exits, { seed }), model, tokenizer, settings });
  },
});
