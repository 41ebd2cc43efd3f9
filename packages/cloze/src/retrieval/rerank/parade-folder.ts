// PARADE rerankers on disk: the encoder's folder, with the parts over its passages beside it.
import { z } from "zod";
import { partFolder } from "../part-folder.js";
import { createParade, type Parade } from "./parade.js";
import { passageAggregations } from "./passage-aggregator.js";

const folders = partFolder({
  name: "parade",
  prefix: "parade.",
  settings: z.strictObject({
    aggregation: z.enum(passageAggregations),
    layers: z.int().positive(),
    words: z.int().positive(),
    stride: z.int().positive(),
    passages: z.int().positive(),
    maxLength: z.int().positive(),
  }),
  error: {
    code: "RERANKER_FILE",
    message: "describes no PARADE reranker",
    expected: "a folder of cloze train-retrieval --part parade",
  },
});

/** Whether a folder holds a PARADE reranker. */
export const isParadeFolder = folders.recognises;

/** Writes a reranker: the model's folder, `parade.safetensors`, and `parade.json` last. @throws FILE_WRITE, DISK_FULL */
export const saveParade = ({ options, ...parade }: Parade, folder: string): void =>
  folders.save({ ...parade, settings: options }, folder);

/** Opens what `saveParade` wrote. @throws RERANKER_FILE, WEIGHT_SHAPE, and what `loadModel` and `loadTokenizer` throw */
export const loadParade = (folder: string): Parade => folders.load(folder, createParade);
