// Rankers with early exits on disk: the encoder's folder, with the exits beside it.
import { z } from "zod";
import type { Model } from "../../families/model.js";
import type { Tokenizer } from "../../text/index.js";
import { partFolder } from "../part-folder.js";
import { createExitRanker, type ExitRanker } from "./early-exit.js";

/** What is kept of a ranker beside its weights. */
export interface ExitModelSettings {
  /** Layers behind which there is an exit, rising to the last. */
  readonly exits: readonly number[];
  /** Tokens of a query with a document at most. */
  readonly maxLength: number;
}

/** A ranker with early exits, its tokenizer, and the model that it owns. */
export interface ExitModel {
  readonly ranker: ExitRanker;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly settings: ExitModelSettings;
}

const folders = partFolder({
  name: "early-exit",
  prefix: "exits.",
  settings: z.strictObject({ exits: z.array(z.int().positive()).min(1).readonly(), maxLength: z.int().positive() }),
  error: {
    code: "RERANKER_FILE",
    message: "describes no ranker with early exits",
    expected: "a folder of cloze train-retrieval --part early-exit",
  },
});

/** Whether a folder holds a ranker with early exits. */
export const isExitFolder = folders.recognises;

/** Writes a ranker: the model's folder, `early-exit.safetensors`, and `early-exit.json` last. @throws FILE_WRITE, DISK_FULL */
export const saveExitModel = ({ ranker, ...rest }: ExitModel, folder: string): void =>
  folders.save({ ...rest, parameters: ranker.parameters }, folder);

/** Opens what `saveExitModel` wrote. @throws RERANKER_FILE, WEIGHT_SHAPE, and what `loadModel` and `loadTokenizer` throw */
export const loadExitModel = (folder: string): ExitModel =>
  folders.load(folder, (model, tokenizer, settings, source) => ({
    ranker: createExitRanker(model, settings.exits, source),
    model,
    tokenizer,
    settings,
  }));
