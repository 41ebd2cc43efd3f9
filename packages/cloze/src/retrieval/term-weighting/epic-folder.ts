// EPIC on disk: a masked language model's folder, with the heads beside it.
import { z } from "zod";
import { partFolder } from "../part-folder.js";
import { createEpic, type Epic } from "./epic.js";

const folders = partFolder({
  name: "epic",
  prefix: "epic.",
  settings: z.strictObject({
    queryLength: z.int().positive(),
    documentLength: z.int().positive(),
    most: z.int().positive(),
  }),
  error: { code: "EPIC_FILE", message: "describes no EPIC", expected: "a folder of cloze train-retrieval --part epic" },
});

/** Whether a folder holds an EPIC. */
export const isEpicFolder = folders.recognises;

/** Writes one: the model's folder, `epic.safetensors`, and `epic.json` last. @throws FILE_WRITE, DISK_FULL */
export const saveEpic = ({ options, ...epic }: Epic, folder: string): void =>
  folders.save({ ...epic, settings: options }, folder);

/** Opens what `saveEpic` wrote. @throws EPIC_FILE, EPIC_HEAD, WEIGHT_SHAPE, and what `loadModel` and `loadTokenizer` throw */
export const loadEpic = (folder: string): Epic => folders.load(folder, createEpic);
