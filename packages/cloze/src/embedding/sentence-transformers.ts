// The folder layout of sentence-transformers: modules.json names a Transformer, a Pooling and perhaps a Normalize.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../errors.js";
import { loadModel, saveModel } from "../families/index.js";
import { loadTokenizer } from "../text/index.js";
import { createEmbedder, type Embedder } from "./embedder.js";
import type { Pooling } from "./pooling.js";
import type { TextRoles } from "./text-roles.js";

const modulesSchema = z.array(z.looseObject({ path: z.string(), type: z.string() }));
const poolingSchema = z.looseObject({
  pooling_mode_cls_token: z.boolean().default(false),
  pooling_mode_mean_tokens: z.boolean().default(false),
  pooling_mode_max_tokens: z.boolean().default(false),
});
const limitSchema = z.looseObject({ max_seq_length: z.number().int().positive().nullish() });
const roleSchema = z
  .object({ positionOffset: z.number(), segment: z.number(), maxLength: z.number() })
  .partial()
  .optional();
const extraSchema = z.looseObject({
  cloze: z
    .looseObject({
      roles: z.object({ query: roleSchema, document: roleSchema }).optional(),
      specialTokens: z.boolean().optional(),
    })
    .optional(),
});

function readJson<T>(path: string, schema: z.ZodType<T>): T {
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

function readPooling(path: string): Pooling {
  const config = readJson(path, poolingSchema);
  if (config.pooling_mode_cls_token) return "cls";
  if (config.pooling_mode_max_tokens) return "max";
  if (config.pooling_mode_mean_tokens) return "mean";
  throw new ClozeError("EMBEDDER_POOLING", `${path} asks for a pooling that Cloze does not have`, {
    expected: "cls, mean or max",
  });
}

const kinds = { Transformer: 0, Pooling: 1, Normalize: 2 } as const;

/**
 * Loads a sentence-transformers folder. A plain model folder (no modules.json) is read with mean pooling and normalised.
 *
 * @throws EMBEDDER_FILE, EMBEDDER_MODULE, EMBEDDER_POOLING, and what `loadModel` and `loadTokenizer` throw
 * @example
 * const embedder = loadEmbedder("all-MiniLM-L6-v2");
 * const vectors = embedder.embed(["How are you?"]); // [1, 384]
 */
export function loadEmbedder(folder: string): Embedder {
  const optional = <T>(path: string, schema: z.ZodType<T>): T | undefined =>
    existsSync(path) ? readJson(path, schema) : undefined;
  const modules = optional(join(folder, "modules.json"), modulesSchema) ?? [];
  let pooling: Pooling = "mean";
  let normalize = modules.length === 0;
  let transformer = folder;
  for (const { path, type } of modules) {
    const kind = type.split(".").pop() ?? "";
    if (!Object.hasOwn(kinds, kind)) {
      throw new ClozeError("EMBEDDER_MODULE", `${folder} has a module that Cloze does not know`, {
        expected: Object.keys(kinds).join(", "),
        received: type,
      });
    }
    if (kind === "Transformer") transformer = join(folder, path);
    if (kind === "Pooling") pooling = readPooling(join(folder, path, "config.json"));
    if (kind === "Normalize") normalize = true;
  }
  const limit = optional(join(transformer, "sentence_bert_config.json"), limitSchema)?.max_seq_length ?? undefined;
  const extra = optional(join(folder, "config_sentence_transformers.json"), extraSchema)?.cloze;
  return createEmbedder(loadModel(transformer), loadTokenizer(transformer), {
    pooling,
    normalize,
    maxLength: limit,
    specialTokens: extra?.specialTokens,
    roles: extra?.roles as TextRoles | undefined,
  });
}

/**
 * Writes an embedder as a sentence-transformers folder: config.json, model.safetensors, tokenizer.json, modules.json and the
 * settings of its modules. Each file is replaced in one step.
 */
export function saveEmbedder(embedder: Embedder, folder: string): void {
  const { pooling, normalize, maxLength, roles, specialTokens } = embedder.options;
  mkdirSync(join(folder, "1_Pooling"), { recursive: true });
  const write = (name: string, value: unknown) =>
    writeFileAtomic(join(folder, name), `${JSON.stringify(value, undefined, 2)}\n`);
  saveModel(embedder.model, folder);
  embedder.tokenizer.save(folder);
  write("sentence_bert_config.json", { max_seq_length: maxLength, do_lower_case: false });
  write("1_Pooling/config.json", {
    word_embedding_dimension: embedder.width,
    pooling_mode_cls_token: pooling === "cls",
    pooling_mode_mean_tokens: pooling === "mean",
    pooling_mode_max_tokens: pooling === "max",
    pooling_mode_mean_sqrt_len_tokens: false,
  });
  write("config_sentence_transformers.json", {
    prompts: {},
    default_prompt_name: null,
    similarity_fn_name: normalize ? "cosine" : "dot",
    cloze: { roles, specialTokens },
  });
  const modules = [
    { idx: 0, name: "0", path: "", type: "sentence_transformers.models.Transformer" },
    { idx: 1, name: "1", path: "1_Pooling", type: "sentence_transformers.models.Pooling" },
  ];
  if (normalize)
    modules.push({ idx: 2, name: "2", path: "2_Normalize", type: "sentence_transformers.models.Normalize" });
  write("modules.json", modules);
}
