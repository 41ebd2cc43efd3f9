// Weighters of words on disk: the encoder's folder, with the head over words beside it.
import { z } from "zod";
import { loadTokenizer } from "../../text/tokenizer.js";
import { partFolder } from "../part-folder.js";
import { createTermReader, type TermReader } from "./term-reader.js";
import { createTermWeighter, type TermWeighter, termWeightings } from "./term-weighter.js";

const folders = partFolder({
  name: "term-weighter",
  prefix: "termWeight.",
  settings: z.strictObject({
    type: z.enum(termWeightings),
    maxLength: z.int().positive(),
    stemmer: z.enum(["none", "english"]),
    stopWords: z.enum(["none", "english"]),
  }),
  error: {
    code: "TERM_WEIGHTER_FILE",
    message: "describes no weighter of words",
    expected: "a folder of cloze train-retrieval --part deepimpact or deepct",
  },
});

/** Whether a folder holds a weighter of words. */
export const isTermWeighterFolder = folders.recognises;

/**
 * Writes a weighter: the model's folder, `term-weighter.safetensors`, and `term-weighter.json` last.
 *
 * @throws FILE_WRITE, DISK_FULL
 */
export const saveTermWeighter = ({ options, ...weighter }: TermWeighter, folder: string): void =>
  folders.save({ ...weighter, settings: options }, folder);

/**
 * Opens what `saveTermWeighter` wrote.
 *
 * @throws TERM_WEIGHTER_FILE, WEIGHT_SHAPE, and what `loadModel` and `loadTokenizer` throw
 */
export const loadTermWeighter = (folder: string): TermWeighter => folders.load(folder, createTermWeighter);

/** What a weighter reads queries with: its words, without its model. @throws TERM_WEIGHTER_FILE, and what `loadTokenizer` throws */
export const loadTermReader = (folder: string): TermReader =>
  createTermReader(loadTokenizer(folder), folders.settings(folder));
