// Parts of a search pipeline on disk: the encoder's folder, with the part's settings and its own parameters beside it.
import type { Tensor } from "@cloze/tensor";
import type { z } from "zod";
import type { ParameterSource } from "../encoder/parameters.js";
import { type PartFiles, type PartFilesOptions, partFiles } from "../encoder/part-files.js";
import { loadModel, saveModel } from "../families/index.js";
import type { Model } from "../families/model.js";
import type { Tokenizer } from "../text/index.js";
import { loadTokenizer } from "../text/tokenizer.js";

/** What a folder holds of a part. */
export interface StoredPart<Settings> {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly settings: Settings;
  /** All parameters; of these, those that are the part's own are written beside the model. */
  readonly parameters: ReadonlyMap<string, Tensor>;
}

export interface PartFolderOptions<Schema extends z.ZodObject> extends PartFilesOptions<Schema> {
  /** What its own parameters' names begin with; without: it has none. */
  readonly prefix?: string;
}

/** How a kind of part is kept in folders. */
export interface PartFolder<Settings> extends Pick<PartFiles<Settings>, "recognises" | "settings"> {
  /** Writes the model's folder, the part's parameters, and its settings last. @throws FILE_WRITE, DISK_FULL */
  save(part: StoredPart<Settings>, folder: string): void;
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
  prefix,
  ...options
}: PartFolderOptions<Schema>): PartFolder<z.output<Schema>> {
  const { recognises, settings, write, weights } = partFiles(options);
  return {
    recognises,
    settings,
    save({ model, tokenizer, settings: values, parameters }, folder) {
      saveModel(model, folder);
      tokenizer.save(folder);
      const own =
        prefix === undefined
          ? undefined
          : [...parameters]
              .filter(([key]) => key.startsWith(prefix))
              .map(([key, value]) => [key.slice(prefix.length), value] as const);
      write(folder, values, own);
    },
    load(folder, create) {
      const values = settings(folder);
      const model = loadModel(folder);
      try {
        const tokenizer = loadTokenizer(folder);
        if (prefix === undefined) return create(model, tokenizer, values, { seed: 1 });
        return weights(folder, (load) => create(model, tokenizer, values, { seed: 1, load }));
      } catch (error) {
        model.dispose();
        throw error;
      }
    },
  };
}
