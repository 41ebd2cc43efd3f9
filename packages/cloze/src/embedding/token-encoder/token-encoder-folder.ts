// ColBERT encoders on disk, as PyLate lays them: a sentence-transformers folder with a Dense and no pooling.
import { files, paths } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { loadEmbedder, saveEmbedder } from "../sentence-transformers.js";
import { createTokenEncoder, type TokenEncoder, type TokenEncoderOptions } from "./token-encoder.js";

const { existsSync, readFileSync } = files;
const { join } = paths;

const schema = z.looseObject({
  query_length: z.int().positive().optional(),
  document_length: z.int().positive().optional(),
  query_prefix: z.string().nullish(),
  document_prefix: z.string().nullish(),
  do_query_expansion: z.boolean().optional(),
  attend_to_expansion_tokens: z.boolean().optional(),
  skiplist_words: z.array(z.string()).optional(),
});

function settingsOf(folder: string): z.output<typeof schema> | undefined {
  const path = join(folder, "config_sentence_transformers.json");
  if (!existsSync(path)) return undefined;
  try {
    return schema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new ClozeError("EMBEDDER_FILE", `${path} is not what PyLate writes`, {
      received: cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause),
      cause,
    });
  }
}

/** Whether a folder holds an encoder of tokens. */
export const isTokenEncoderFolder = (folder: string): boolean => settingsOf(folder)?.query_length !== undefined;

/**
 * Loads an encoder of tokens: a folder of `saveTokenEncoder` or of PyLate, or any model, which gets a new projection.
 *
 * @throws EMBEDDER_FILE, and what `loadEmbedder` throws
 */
export function loadTokenEncoder(folder: string, options: TokenEncoderOptions = {}): TokenEncoder {
  const settings = settingsOf(folder);
  const { model, tokenizer, modules } = loadEmbedder(folder, { pooled: false });
  const known = settings?.query_length !== undefined;
  const { query_prefix: query, document_prefix: document } = settings ?? {};
  return createTokenEncoder(model, tokenizer, {
    ...(known
      ? {
          projection: modules.find(({ type }) => type === "Dense"),
          queryLength: settings.query_length,
          documentLength: settings.document_length,
          expandQueries: settings.do_query_expansion,
          attendToExpansion: settings.attend_to_expansion_tokens ?? false,
          skip: settings.skiplist_words,
          ...(query && document ? { markers: { query, document } } : {}),
        }
      : {}),
    ...options,
  });
}

/** Writes an encoder of tokens. @throws FILE_WRITE, DISK_FULL */
export function saveTokenEncoder(encoder: TokenEncoder, folder: string): void {
  const { queryLength, documentLength, markers, expandQueries, attendToExpansion, skip } = encoder.settings;
  saveEmbedder(encoder.embedder, folder, {
    pooled: false,
    settings: {
      similarity_fn_name: "MaxSim",
      query_length: queryLength,
      document_length: documentLength,
      query_prefix: markers?.query ?? null,
      document_prefix: markers?.document ?? null,
      do_query_expansion: expandQueries,
      attend_to_expansion_tokens: attendToExpansion,
      skiplist_words: skip,
    },
  });
}
