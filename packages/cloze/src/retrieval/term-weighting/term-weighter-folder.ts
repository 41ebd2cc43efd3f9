// Weighters of words on disk: the encoder's folder, with the head over words beside it.
import { files, paths, readSafetensors, writeFileAtomic, writeSafetensors } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { loadModel, saveModel } from "../../families/index.js";
import { loadTokenizer } from "../../text/tokenizer.js";
import { createTermReader, type TermReader } from "./term-reader.js";
import { createTermWeighter, type TermWeighter, termWeightings } from "./term-weighter.js";

const { existsSync, mkdirSync, readFileSync } = files;
const { join } = paths;

const schema = z.strictObject({
  type: z.enum(termWeightings),
  maxLength: z.int().positive(),
  stemmer: z.enum(["none", "english"]),
  stopWords: z.enum(["none", "english"]),
});
const settingsName = "term-weighter.json";
const weightsName = "term-weighter.safetensors";
const prefix = "termWeight.";

/** Whether a folder holds a weighter of words. */
export const isTermWeighterFolder = (folder: string): boolean => existsSync(join(folder, settingsName));

/**
 * Writes a weighter: the model's folder, `term-weighter.safetensors`, and `term-weighter.json` last.
 *
 * @throws FILE_WRITE, DISK_FULL
 */
export function saveTermWeighter({ model, tokenizer, options, parameters }: TermWeighter, folder: string): void {
  mkdirSync(folder, { recursive: true });
  saveModel(model, folder);
  tokenizer.save(folder);
  const own = [...parameters].filter(([name]) => name.startsWith(prefix));
  writeSafetensors(join(folder, weightsName), new Map(own.map(([name, value]) => [name.slice(prefix.length), value])));
  writeFileAtomic(join(folder, settingsName), `${JSON.stringify(options, undefined, 2)}\n`);
}

function readSettings(folder: string): z.output<typeof schema> {
  const path = join(folder, settingsName);
  try {
    return schema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new ClozeError("TERM_WEIGHTER_FILE", `${path} describes no weighter of words`, {
      expected: "a folder of cloze train-retrieval --part deepimpact or deepct",
      received: cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause),
      cause,
    });
  }
}

/**
 * Opens what `saveTermWeighter` wrote.
 *
 * @throws TERM_WEIGHTER_FILE, WEIGHT_SHAPE, and what `loadModel` and `loadTokenizer` throw
 */
export function loadTermWeighter(folder: string): TermWeighter {
  const options = readSettings(folder);
  const model = loadModel(folder);
  const weights = readSafetensors(join(folder, weightsName));
  try {
    return createTermWeighter(model, loadTokenizer(folder), options, { seed: 1, load: (name) => weights.load(name) });
  } catch (error) {
    model.dispose();
    throw error;
  } finally {
    weights.close();
  }
}

/** What a weighter reads queries with: its words, without its model. @throws TERM_WEIGHTER_FILE, and what `loadTokenizer` throws */
export const loadTermReader = (folder: string): TermReader =>
  createTermReader(loadTokenizer(folder), readSettings(folder));
