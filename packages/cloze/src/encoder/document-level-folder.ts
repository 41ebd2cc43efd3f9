// The upper level of a document encoder in its model's folder: a module behind the transformer, as sentence-transformers lays
// modules out. sentence-transformers itself does not know the module, and says so.
import { files, paths, readSafetensors, writeFileAtomic, writeSafetensors } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../errors.js";
import type { EncoderConfig } from "./config.js";
import { createDocumentLevel, type DocumentLevel, documentLevelSchema } from "./document-level.js";

const { existsSync, mkdirSync, readFileSync } = files;
const { join } = paths;

/** The module's type, by its last segment. */
export const documentLevelModule = "DocumentLevel";
const path = `1_${documentLevelModule}`;

/** Writes the level into the folder of its sentence encoder; modules.json comes last. @throws FILE_WRITE, DISK_FULL */
export function saveDocumentLevel({ config, parameters }: DocumentLevel, folder: string): void {
  mkdirSync(join(folder, path), { recursive: true });
  const write = (name: string, value: unknown) =>
    writeFileAtomic(join(folder, name), `${JSON.stringify(value, undefined, 2)}\n`);
  writeSafetensors(join(folder, path, "model.safetensors"), parameters);
  write(`${path}/config.json`, config);
  write("modules.json", [
    { idx: 0, name: "0", path: "", type: "sentence_transformers.models.Transformer" },
    { idx: 1, name: "1", path, type: `cloze.${documentLevelModule}` },
  ]);
}

/**
 * Opens what `saveDocumentLevel` wrote.
 *
 * @throws EMBEDDER_FILE, CONFIG_INVALID, WEIGHT_SHAPE, and what `readSafetensors` throws
 */
export function loadDocumentLevel(folder: string, sentence: EncoderConfig): DocumentLevel {
  const named = join(folder, path, "config.json");
  const invalid = (received: string, cause?: unknown) =>
    new ClozeError("EMBEDDER_FILE", `${named} describes no upper level of a document encoder`, { received, cause });
  if (!existsSync(named)) throw invalid("nothing");
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(named, "utf8"));
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause), cause);
  }
  const parsed = documentLevelSchema.safeParse(json);
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error));
  const file = readSafetensors(join(folder, path, "model.safetensors"));
  try {
    return createDocumentLevel(parsed.data, sentence, { load: (name) => file.load(name) });
  } finally {
    file.close();
  }
}
