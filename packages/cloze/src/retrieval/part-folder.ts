// Parts of a search pipeline on disk: the encoder's folder, with the part's settings and its own parameters beside it.
import { files, paths, readSafetensors, type Tensor, writeFileAtomic, writeSafetensors } from "@cloze/tensor";
import { z } from "zod";
import type { ParameterSource } from "../encoder/parameters.js";
import { ClozeError } from "../errors.js";
import { loadModel, saveModel } from "../families/index.js";
import type { Model } from "../families/model.js";
import type { Tokenizer } from "../text/index.js";
import { loadTokenizer } from "../text/tokenizer.js";

const { existsSync, mkdirSync, readFileSync } = files;
const { join } = paths;

/** What a folder holds of a part. */
export interface StoredPart<Settings> {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly settings: Settings;
  /** All parameters; of these, those that are the part's own are written beside the model. */
  readonly parameters: ReadonlyMap<string, Tensor>;
}

export interface PartFolderOptions<Schema extends z.ZodObject> {
  /** Of its files: `<name>.json`, `<name>.safetensors`. */
  readonly name: string;
  /** What its own parameters' names begin with; without: it has none. */
  readonly prefix?: string;
  readonly settings: Schema;
  /** The code of a folder that describes no such part, and what was expected. */
  readonly error: { readonly code: string; readonly message: string; readonly expected?: string };
}

/** How a kind of part is kept in folders. */
export interface PartFolder<Settings> {
  recognises(folder: string): boolean;
  /** Writes the model's folder, the part's parameters, and its settings last. @throws FILE_WRITE, DISK_FULL */
  save(part: StoredPart<Settings>, folder: string): void;
  /** The settings alone. @throws the error of its options */
  settings(folder: string): Settings;
  /** Opens what `save` wrote. @throws the error of its options, WEIGHT_SHAPE, and what `loadModel` and `loadTokenizer` throw */
  load<Part>(
    folder: string,
    create: (model: Model, tokenizer: Tokenizer, settings: Settings, source: ParameterSource) => Part,
  ): Part;
}

/**
 * Folders of a kind of part.
 *
 * @example
 * const exits = partFolder({ name: "exits", prefix: "exits.", settings: z.strictObject({ … }), error });
 */
export function partFolder<Schema extends z.ZodObject>({
  name,
  prefix,
  settings: schema,
  error: { code, message, expected },
}: PartFolderOptions<Schema>): PartFolder<z.output<Schema>> {
  const settingsPath = (folder: string) => join(folder, `${name}.json`);
  const weightsPath = (folder: string) => join(folder, `${name}.safetensors`);
  function settings(folder: string): z.output<Schema> {
    const path = settingsPath(folder);
    try {
      return schema.parse(JSON.parse(readFileSync(path, "utf8")));
    } catch (cause) {
      throw new ClozeError(code, `${path} ${message}`, {
        expected,
        received: cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause),
        cause,
      });
    }
  }
  return {
    recognises: (folder) => existsSync(settingsPath(folder)),
    settings,
    save({ model, tokenizer, settings: values, parameters }, folder) {
      mkdirSync(folder, { recursive: true });
      saveModel(model, folder);
      tokenizer.save(folder);
      if (prefix !== undefined) {
        const own = [...parameters].filter(([key]) => key.startsWith(prefix));
        const named = own.map(([key, value]) => [key.slice(prefix.length), value] as const);
        writeSafetensors(weightsPath(folder), new Map(named));
      }
      writeFileAtomic(settingsPath(folder), `${JSON.stringify(values, undefined, 2)}\n`);
    },
    load(folder, create) {
      const values = settings(folder);
      const model = loadModel(folder);
      try {
        const tokenizer = loadTokenizer(folder);
        if (prefix === undefined) return create(model, tokenizer, values, { seed: 1 });
        const weights = readSafetensors(weightsPath(folder));
        try {
          return create(model, tokenizer, values, { seed: 1, load: (key) => weights.load(key) });
        } finally {
          weights.close();
        }
      } catch (error) {
        model.dispose();
        throw error;
      }
    },
  };
}
