import { z } from "zod";
import { createEpic, type Epic } from "../term-weighting/epic.js";
import { isEpicFolder, loadEpic, saveEpic } from "../term-weighting/epic-folder.js";
import { trainEpic } from "../term-weighting/train-epic.js";
import { scoreRows } from "./score-rows.js";
import { defineTrainedPart, type TrainedPart } from "./trained-part.js";

const partOf = (epic: Epic): TrainedPart => ({
  rows: (queries) => scoreRows(queries).length,
  train: (queries, options) => trainEpic(epic, scoreRows(queries), options),
  save: (folder) => saveEpic(epic, folder),
  dispose: () => epic.dispose(),
});

/** EPIC (MacAvaney 2020): weights over the whole vocabulary for documents, and of its own tokens for a query. */
export const epic = defineTrainedPart({
  type: "epic",
  description:
    "weights of terms, those that a document lacks too (EPIC), from a masked language model: for cloze index --model, --pipeline splade",
  readsOthers: true,
  options: z.strictObject({
    queryLength: z.int().min(4).default(16).describe("tokens of a query at most"),
    documentLength: z.int().min(8).default(192).describe("tokens of a document at most"),
    most: z.int().positive().default(100).describe("terms of a document that are kept, the heaviest"),
  }),
  recognises: isEpicFolder,
  load: (folder) => partOf(loadEpic(folder)),
  create: (model, tokenizer, settings, seed) => partOf(createEpic(model, tokenizer, settings, { seed })),
});
