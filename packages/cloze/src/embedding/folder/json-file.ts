// The JSON files of sentence-transformers folders.
import { files, writeFileAtomic } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";

const { existsSync, readFileSync } = files;

/** A file as its schema says. @throws EMBEDDER_FILE */
export function readJson<T>(path: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ClozeError("EMBEDDER_FILE", `${path} cannot be read as JSON`, {
      received: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ClozeError("EMBEDDER_FILE", `${path} is not what sentence-transformers writes`, {
    received: z.prettifyError(result.error),
  });
}

/** The same; undefined where there is no such file. @throws EMBEDDER_FILE */
export const optionalJson = <T>(path: string, schema: z.ZodType<T>): T | undefined =>
  existsSync(path) ? readJson(path, schema) : undefined;

/** Writes a file as sentence-transformers lays it out. @throws FILE_WRITE, DISK_FULL */
export const writeJson = (path: string, value: unknown): void =>
  writeFileAtomic(path, `${JSON.stringify(value, undefined, 2)}\n`);
