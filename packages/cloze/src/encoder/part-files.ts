// Settings and parameters of a part that stands beside a model: two files in the model's folder.
import { files, paths, readSafetensors, type Tensor, writeFileAtomic, writeSafetensors } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../errors.js";

const { existsSync, readFileSync } = files;
const { join } = paths;

export interface PartFilesOptions<Schema extends z.ZodObject> {
  /** Of its files: `<name>.json`, `<name>.safetensors`. */
  readonly name: string;
  readonly settings: Schema;
  /** The code of a folder that describes no such part, and what was expected. */
  readonly error: { readonly code: string; readonly message: string; readonly expected?: string };
}

/** How a kind of part is kept in a folder. */
export interface PartFiles<Settings> {
  recognises(folder: string): boolean;
  /** Writes the parameters where there are any, and the settings last. @throws FILE_WRITE, DISK_FULL */
  write(folder: string, settings: Settings, parameters?: Iterable<readonly [string, Tensor]>): void;
  /** The settings alone. @throws the error of its options */
  settings(folder: string): Settings;
  /** Opens the parameters while `use` runs, and gives them away by name. @throws what `readSafetensors` throws */
  weights<T>(folder: string, use: (load: (name: string) => Tensor) => T): T;
}

/** Whether a folder describes a part of that name; asked without loading what reads it. */
export const holdsPart = (folder: string, name: string): boolean => existsSync(settingsPath(folder, name));

const settingsPath = (folder: string, name: string): string => join(folder, `${name}.json`);

/**
 * Files of a kind of part.
 *
 * @example
 * const joint = partFiles({ name: "joint", settings: z.strictObject({ … }), error });
 */
export function partFiles<Schema extends z.ZodObject>({
  name,
  settings: schema,
  error: { code, message, expected },
}: PartFilesOptions<Schema>): PartFiles<z.output<Schema>> {
  const weightsPath = (folder: string) => join(folder, `${name}.safetensors`);
  return {
    recognises: (folder) => holdsPart(folder, name),
    write(folder, settings, parameters) {
      if (parameters !== undefined) writeSafetensors(weightsPath(folder), new Map(parameters));
      writeFileAtomic(settingsPath(folder, name), `${JSON.stringify(settings, undefined, 2)}\n`);
    },
    settings(folder) {
      const path = settingsPath(folder, name);
      try {
        return schema.parse(JSON.parse(readFileSync(path, "utf8")));
      } catch (cause) {
        throw new ClozeError(code, `${path} ${message}`, {
          expected,
          received: cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause),
          cause,
        });
      }
    },
    weights(folder, use) {
      const weights = readSafetensors(weightsPath(folder));
      try {
        return use((key) => weights.load(key));
      } finally {
        weights.close();
      }
    },
  };
}
