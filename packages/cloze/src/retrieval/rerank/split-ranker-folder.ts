// Rerankers that keep what they read of documents, on disk: the encoder's folder, with score and codec beside it.
import { z } from "zod";
import { partFolder } from "../part-folder.js";
import { createSplitRanker, type SplitRanker } from "./split-ranker.js";

const folders = partFolder({
  name: "prettr",
  prefix: "split.",
  settings: z.strictObject({
    layer: z.int().nonnegative(),
    codec: z.int().nonnegative(),
    queryLength: z.int().positive(),
    maxLength: z.int().positive(),
  }),
  error: {
    code: "RERANKER_FILE",
    message: "describes no PreTTR reranker",
    expected: "a folder of cloze train-retrieval --part prettr",
  },
});

/** Whether a folder holds a PreTTR reranker. */
export const isSplitRankerFolder = folders.recognises;

/** Writes a reranker: the model's folder, `prettr.safetensors`, and `prettr.json` last. @throws FILE_WRITE, DISK_FULL */
export const saveSplitRanker = ({ options, ...ranker }: SplitRanker, folder: string): void =>
  folders.save({ ...ranker, settings: options }, folder);

/** Opens what `saveSplitRanker` wrote. @throws RERANKER_FILE, WEIGHT_SHAPE, and what `loadModel` and `loadTokenizer` throw */
export const loadSplitRanker = (folder: string): SplitRanker => folders.load(folder, createSplitRanker);
