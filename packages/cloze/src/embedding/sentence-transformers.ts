// The folder layout of sentence-transformers: modules.json names a Transformer, a Pooling and what stands behind it.
import { files, paths, readSafetensors, type Tensor, writeFileAtomic, writeSafetensors } from "@cloze/tensor";
import { z } from "zod";
import { documentLevelModule, loadDocumentLevel, saveDocumentLevel } from "../encoder/document-level-folder.js";
import { ClozeError } from "../errors.js";
import { loadModel, type Model, saveModel } from "../families/index.js";
import type { CompileOptions } from "../inference/compile.js";
import { loadTokenizer } from "../text/tokenizer.js";
import { createDocumentEmbedder } from "./document-embedder.js";
import { createEmbedder, type Embedder, type Similarity } from "./embedder.js";
import {
  createNormalize,
  createSlice,
  type EmbedderModule,
  type EmbedderModuleKind,
  embedderModules,
} from "./modules/index.js";
import { modesOf, type Pooling, type PoolingMode, poolingModes } from "./pooling.js";
import type { TextRoles } from "./text-roles.js";

const { existsSync, mkdirSync, readFileSync } = files;
const { join } = paths;

/** What sentence-transformers calls each way of pooling: before its version 6, and since. */
const poolingNames: Readonly<Record<PoolingMode, readonly [old: string, now: string]>> = {
  cls: ["pooling_mode_cls_token", "cls"],
  max: ["pooling_mode_max_tokens", "max"],
  mean: ["pooling_mode_mean_tokens", "mean"],
  "mean-sqrt-length": ["pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"],
  "weighted-mean": ["pooling_mode_weightedmean_tokens", "weightedmean"],
  "last-token": ["pooling_mode_lasttoken", "lasttoken"],
};

/** Names of the transformer's settings, the first that exists counts. */
const limitFiles = [
  "sentence_bert_config.json",
  ...["roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"].map(
    (name) => `sentence_${name}_config.json`,
  ),
];

const modulesSchema = z.array(z.looseObject({ path: z.string(), type: z.string() }));
const poolingSchema = z.looseObject({
  pooling_mode: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  include_prompt: z.boolean().default(true),
});
const limitSchema = z.looseObject({
  max_seq_length: z.number().int().positive().nullish(),
  do_lower_case: z.boolean().nullish(),
});
const tokenizerSchema = z.looseObject({ model_max_length: z.number().nullish() });
const roleSchema = z
  .object({ positionOffset: z.number(), segment: z.number(), maxLength: z.number() })
  .partial()
  .optional();
const extraSchema = z.looseObject({
  prompts: z.record(z.string(), z.string().nullable()).nullish(),
  default_prompt_name: z.string().nullish(),
  similarity_fn_name: z.string().nullish(),
  truncate_dim: z.int().positive().nullish(),
  cloze: z
    .looseObject({
      roles: z.object({ query: roleSchema, document: roleSchema }).optional(),
      specialTokens: z.boolean().optional(),
      normalize: z.boolean().optional(),
      fields: z.array(z.string()).optional(),
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

const optional = <T>(path: string, schema: z.ZodType<T>): T | undefined =>
  existsSync(path) ? readJson(path, schema) : undefined;

function readPooling(path: string): { pooling: Pooling; includePrompt: boolean } {
  const config = readJson(path, poolingSchema);
  const { pooling_mode: named, include_prompt: includePrompt } = config;
  const old = poolingModes.filter((mode) => config[poolingNames[mode][0]] === true);
  const asked = named === undefined ? undefined : typeof named === "string" ? [named] : named;
  const modes = asked?.map((name) => poolingModes.find((mode) => poolingNames[mode][1] === name)) ?? old;
  const unknown = asked?.find((_, i) => modes[i] === undefined);
  if (unknown !== undefined) {
    throw new ClozeError("EMBEDDER_POOLING", `${path} asks for a pooling that Cloze does not have`, {
      expected: poolingModes.map((mode) => poolingNames[mode][1]).join(", "),
      received: unknown,
    });
  }
  const known = modes as PoolingMode[];
  // A file that asks for nothing means the mean, as sentence-transformers reads it.
  return { pooling: known.length === 0 ? "mean" : known.length === 1 ? known[0] : known, includePrompt };
}

const similarities: Readonly<Record<string, Similarity>> = {
  cosine: "cosine",
  dot: "dot",
  dot_product: "dot",
  euclidean: "euclidean",
  manhattan: "manhattan",
};

function readSimilarity(name: string | null | undefined, folder: string): Similarity | undefined {
  if (name === null || name === undefined) return undefined;
  if (Object.hasOwn(similarities, name)) return similarities[name];
  throw new ClozeError("EMBEDDER_SIMILARITY", `${folder} compares vectors in a way that Cloze does not know`, {
    expected: Object.keys(similarities).join(", "),
    received: name,
  });
}

/** @throws EMBEDDER_MODULE for the first of a folder's modules that is of a kind that Cloze does not have */
function checkModules(folder: string, types: readonly string[]): void {
  const known = ["Transformer", "Pooling", ...embedderModules.map((one) => one.type)];
  const unknown = types.find((type) => !known.includes(type) && type !== documentLevelModule);
  if (unknown === undefined) return;
  throw new ClozeError("EMBEDDER_MODULE", `${folder} has a module that Cloze does not know`, {
    expected: known.join(", "),
    received: unknown,
  });
}

function readModule(folder: string, type: string, path: string, width: number): EmbedderModule {
  const kind = embedderModules.find((one) => one.type === type) as EmbedderModuleKind;
  const config = optional(join(folder, path, "config.json"), z.looseObject({})) ?? {};
  const weights = join(folder, path, "model.safetensors");
  const file = existsSync(weights) ? readSafetensors(weights) : undefined;
  const weight = (name: string): Tensor => {
    if (file !== undefined) return file.load(name);
    throw new ClozeError("EMBEDDER_FILE", `${weights} does not exist`, {
      remedy: "Save the model with a newer sentence-transformers: weights in pytorch_model.bin are not read.",
    });
  };
  try {
    return kind.load(config, width, weight);
  } finally {
    file?.close();
  }
}

/** An embedder of long documents from its folder, whose sentence encoder was loaded. */
function loadDocumentEmbedder(folder: string, model: Model): Embedder {
  try {
    const extra = optional(join(folder, "config_sentence_transformers.json"), extraSchema);
    const limits = optional(join(folder, "sentence_bert_config.json"), limitSchema);
    const prompts = Object.entries(extra?.prompts ?? {}).map(([name, prompt]) => [name, prompt ?? ""] as const);
    return createDocumentEmbedder(model, loadTokenizer(folder), loadDocumentLevel(folder, model.encoder.config), {
      lowerCase: limits?.do_lower_case ?? undefined,
      prompts: Object.fromEntries(prompts),
      defaultPrompt: extra?.default_prompt_name ?? undefined,
      normalize: extra?.cloze?.normalize,
    });
  } catch (error) {
    model.dispose();
    throw error;
  }
}

export interface LoadEmbedderOptions {
  /** How the encoder runs in `embed`: "int8" is smaller and faster, and rounds. Default "float32". */
  weights?: CompileOptions["weights"];
  /** False: the folder's vectors are of tokens, and how they are compared is not asked. Default true. */
  pooled?: boolean;
}

/**
 * Loads a sentence-transformers folder: the vectors are those of sentence-transformers. A plain model folder (no
 * modules.json) is read with mean pooling and normalised.
 *
 * @throws EMBEDDER_FILE, EMBEDDER_MODULE, EMBEDDER_POOLING, EMBEDDER_SIMILARITY, and what `loadModel` and `loadTokenizer` throw
 * @example
 * const embedder = loadEmbedder("all-MiniLM-L6-v2");
 * const vectors = embedder.embed(["How are you?"]); // [1, 384]
 */
export function loadEmbedder(folder: string, { weights, pooled = true }: LoadEmbedderOptions = {}): Embedder {
  const listed = optional(join(folder, "modules.json"), modulesSchema);
  const steps = (listed ?? []).map(({ path, type }) => ({ path, type: type.split(".").pop() ?? "" }));
  checkModules(
    folder,
    steps.map(({ type }) => type),
  );
  const transformer = join(folder, steps.find(({ type }) => type === "Transformer")?.path ?? "");
  const poolingStep = steps.find(({ type }) => type === "Pooling");
  const { pooling, includePrompt } =
    poolingStep === undefined
      ? { pooling: "mean" as const, includePrompt: true }
      : readPooling(join(folder, poolingStep.path, "config.json"));
  const limitFile = limitFiles.map((name) => join(transformer, name)).find(existsSync);
  const limits = limitFile === undefined ? undefined : readJson(limitFile, limitSchema);
  const model = loadModel(transformer);
  if (steps.some(({ type }) => type === documentLevelModule)) return loadDocumentEmbedder(folder, model);
  const { maxPositions, hiddenSize } = model.encoder.config;
  const positions = maxPositions > 0 ? maxPositions : 512;
  const tokenizerLimit = optional(join(transformer, "tokenizer_config.json"), tokenizerSchema)?.model_max_length;
  const maxLength = Math.min(limits?.max_seq_length ?? tokenizerLimit ?? positions, positions);
  const extra = optional(join(folder, "config_sentence_transformers.json"), extraSchema);
  const behind = steps.filter(({ type }) => type !== "Transformer" && type !== "Pooling");
  let normalize = listed === undefined || behind.at(-1)?.type === "Normalize";
  const modules: EmbedderModule[] = [];
  const width = (): number => modules.at(-1)?.width ?? hiddenSize * modesOf(pooling).length;
  for (const { type, path } of normalize ? behind.slice(0, -1) : behind)
    modules.push(readModule(folder, type, path, width()));
  const dimensions = extra?.truncate_dim ?? width();
  if (dimensions < width()) {
    // What is left of a vector of length 1 is shorter, and sentence-transformers leaves it so.
    if (normalize) modules.push(createNormalize(width()));
    normalize = false;
    modules.push(createSlice(width(), dimensions));
  }
  const prompts = Object.entries(extra?.prompts ?? {}).map(([name, prompt]) => [name, prompt ?? ""] as const);
  return createEmbedder(model, loadTokenizer(transformer), {
    pooling,
    includePrompt,
    normalize,
    maxLength,
    modules,
    weights,
    lowerCase: limits?.do_lower_case ?? undefined,
    prompts: Object.fromEntries(prompts),
    defaultPrompt: extra?.default_prompt_name ?? undefined,
    similarity: pooled ? readSimilarity(extra?.similarity_fn_name, folder) : undefined,
    specialTokens: extra?.cloze?.specialTokens,
    fields: extra?.cloze?.fields,
    roles: extra?.cloze?.roles as TextRoles | undefined,
  });
}

export interface SaveEmbedderOptions {
  /** False: vectors of tokens are what counts, and no pooling is named. Default true. */
  pooled?: boolean;
  /** Further fields of config_sentence_transformers.json. */
  settings?: Readonly<Record<string, unknown>>;
}

/**
 * Writes an embedder as a sentence-transformers folder: config.json, model.safetensors, tokenizer.json, modules.json and the
 * settings of its modules. Each file is replaced in one step; modules.json comes last.
 *
 * @throws FILE_WRITE, DISK_FULL
 */
export function saveEmbedder(
  embedder: Embedder,
  folder: string,
  { pooled = true, settings = {} }: SaveEmbedderOptions = {},
): void {
  const { pooling, includePrompt, normalize, maxLength, lowerCase, prompts, defaultPrompt, similarity } =
    embedder.options;
  const { roles, specialTokens, fields } = embedder.options;
  const { documentLevel } = embedder;
  mkdirSync(folder, { recursive: true });
  const write = (name: string, value: unknown) =>
    writeFileAtomic(join(folder, name), `${JSON.stringify(value, undefined, 2)}\n`);
  saveModel(embedder.model, folder);
  embedder.tokenizer.save(folder);
  write("sentence_bert_config.json", { max_seq_length: maxLength, do_lower_case: lowerCase });
  if (documentLevel !== undefined) {
    write("config_sentence_transformers.json", {
      prompts,
      default_prompt_name: defaultPrompt ?? null,
      similarity_fn_name: similarity,
      cloze: { normalize },
    });
    saveDocumentLevel(documentLevel, folder);
    return;
  }
  if (pooled) mkdirSync(join(folder, "1_Pooling"), { recursive: true });
  const modes = modesOf(pooling);
  const inOldOrder = poolingModes.filter((mode) => modes.includes(mode)).join() === modes.join();
  if (pooled)
    write("1_Pooling/config.json", {
      word_embedding_dimension: embedder.model.encoder.config.hiddenSize,
      // Old readers know flags only; an order of their own needs the new field.
      ...(inOldOrder
        ? Object.fromEntries(poolingModes.map((mode) => [poolingNames[mode][0], modes.includes(mode)]))
        : { pooling_mode: modes.map((mode) => poolingNames[mode][1]) }),
      include_prompt: includePrompt,
    });
  write("config_sentence_transformers.json", {
    prompts,
    default_prompt_name: defaultPrompt ?? null,
    similarity_fn_name: similarity,
    cloze: { roles, specialTokens, ...(fields.length > 0 ? { fields } : {}) },
    ...settings,
  });
  const modules = [{ idx: 0, name: "0", path: "", type: "sentence_transformers.models.Transformer" }];
  const add = (type: string): string => {
    const idx = modules.length;
    const path = `${idx}_${type}`;
    const named = embedderModules.find((kind) => kind.type === type)?.path ?? `models.${type}`;
    modules.push({ idx, name: String(idx), path, type: `sentence_transformers.${named}` });
    return path;
  };
  if (pooled) add("Pooling");
  for (const module of embedder.modules) {
    const path = add(module.type);
    mkdirSync(join(folder, path), { recursive: true });
    if (module.parameters.size > 0) writeSafetensors(join(folder, path, "model.safetensors"), module.parameters);
    write(`${path}/config.json`, module.config());
  }
  if (normalize) add("Normalize");
  write("modules.json", modules);
}
