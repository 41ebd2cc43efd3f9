// PARADE rerankers on disk: the encoder's folder, with the parts over its passages beside it.
import { files, paths, readSafetensors, writeFileAtomic, writeSafetensors } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { loadModel, saveModel } from "../../families/index.js";
import { loadTokenizer } from "../../text/tokenizer.js";
import { createParade, type Parade } from "./parade.js";
import { passageAggregations } from "./passage-aggregator.js";

const { existsSync, mkdirSync, readFileSync } = files;
const { join } = paths;

const schema = z.strictObject({
  aggregation: z.enum(passageAggregations),
  layers: z.int().positive(),
  words: z.int().positive(),
  stride: z.int().positive(),
  passages: z.int().positive(),
  maxLength: z.int().positive(),
});

/** Whether a folder holds a PARADE reranker. */
export const isParadeFolder = (folder: string): boolean => existsSync(join(folder, "parade.json"));

/** Writes a reranker: the model's folder, `parade.safetensors`, and `parade.json` last. @throws FILE_WRITE, DISK_FULL */
export function saveParade({ model, tokenizer, options, parameters }: Parade, folder: string): void {
  mkdirSync(folder, { recursive: true });
  saveModel(model, folder);
  tokenizer.save(folder);
  const own = [...parameters].filter(([name]) => name.startsWith("parade."));
  writeSafetensors(
    join(folder, "parade.safetensors"),
    new Map(own.map(([name, value]) => [name.slice("parade.".length), value])),
  );
  writeFileAtomic(join(folder, "parade.json"), `${JSON.stringify(options, undefined, 2)}\n`);
}

/** Opens what `saveParade` wrote. @throws RERANKER_FILE, WEIGHT_SHAPE, and what `loadModel` and `loadTokenizer` throw */
export function loadParade(folder: string): Parade {
  const path = join(folder, "parade.json");
  let options: z.output<typeof schema>;
  try {
    options = schema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new ClozeError("RERANKER_FILE", `${path} describes no PARADE reranker`, {
      received: cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause),
      cause,
    });
  }
  const model = loadModel(folder);
  const weights = readSafetensors(join(folder, "parade.safetensors"));
  try {
    return createParade(model, loadTokenizer(folder), options, { load: (name) => weights.load(name) });
  } catch (error) {
    model.dispose();
    throw error;
  } finally {
    weights.close();
  }
}
