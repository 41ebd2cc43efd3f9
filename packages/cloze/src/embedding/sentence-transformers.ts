// The folder layout of sentence-transformers: modules.json names what reads texts, a Pooling and what stands behind it, or a
// Router over several such rows.
import { files, paths } from "@cloze/tensor";
import { z } from "zod";
import { documentLevelModule, loadDocumentLevel, saveDocumentLevel } from "../encoder/document-level-folder.js";
import { ClozeError } from "../errors.js";
import type { CompileOptions } from "../inference/compile.js";
import { createDocumentEmbedder } from "./document-embedder.js";
import { type Embedder, poolsStates, type Similarity } from "./embedder.js";
import { optionalJson, writeJson } from "./folder/json-file.js";
import {
  loadPipeline,
  modulesOf,
  nothingRead,
  type PipelineSettings,
  pipelineTypes,
  type ReadModules,
  readInput,
  releaseModules,
  type WrittenModule,
  writeModule,
} from "./folder/pipeline.js";
import { lastSegment, readRouter, routerFile, routerParameters, routerTypes, type Step } from "./folder/router-file.js";
import { createRoutedEmbedder, type EmbedderRoutes } from "./routed-embedder.js";
import type { TextRoles } from "./text-roles.js";

const { mkdirSync } = files;
const { join } = paths;

const modulesSchema = z.array(z.looseObject({ path: z.string(), type: z.string() }));
const roleSchema = z
  .object({ positionOffset: z.number(), segment: z.number(), maxLength: z.number() })
  .partial()
  .optional();
const readingSchema = z.looseObject({ specialTokens: z.boolean().optional() });
const extraSchema = z.looseObject({
  prompts: z.record(z.string(), z.string().nullable()).nullish(),
  default_prompt_name: z.string().nullish(),
  similarity_fn_name: z.string().nullish(),
  truncate_dim: z.int().positive().nullish(),
  cloze: readingSchema
    .extend({
      roles: z.object({ query: roleSchema, document: roleSchema }).optional(),
      normalize: z.boolean().optional(),
      fields: z.array(z.string()).optional(),
      /** Of the routes of a Router, by their names. */
      routes: z.record(z.string(), readingSchema).optional(),
    })
    .optional(),
});
type Extra = z.output<typeof extraSchema>;

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
function checkModules(folder: string, steps: readonly Step[]): void {
  const known = [...pipelineTypes, documentLevelModule];
  const unknown = steps.find(({ type }) => !known.includes(type));
  if (unknown === undefined) return;
  throw new ClozeError("EMBEDDER_MODULE", `${folder} has a module that Cloze does not know`, {
    expected: `${known.join(", ")}, one ${routerTypes[0]}`,
    received: unknown.type,
  });
}

/** An embedder of long documents from its folder. */
function loadDocumentEmbedder(folder: string, steps: readonly Step[], extra: Extra | undefined): Embedder {
  const read = nothingRead();
  try {
    const { model, tokenizer, reading } = readInput(folder, steps, read);
    return createDocumentEmbedder(model, tokenizer, loadDocumentLevel(folder, model.encoder.config), {
      lowerCase: reading.lowerCase,
      ...promptsOf(extra),
      normalize: extra?.cloze?.normalize,
    });
  } catch (error) {
    releaseModules(read);
    throw error;
  }
}

const promptsOf = (extra: Extra | undefined) => ({
  prompts: Object.fromEntries(Object.entries(extra?.prompts ?? {}).map(([name, prompt]) => [name, prompt ?? ""])),
  defaultPrompt: extra?.default_prompt_name ?? undefined,
});

/** One embedder for each route: what stands before and behind the router belongs to all of them. */
function loadRoutes(
  folder: string,
  steps: readonly Step[],
  at: number,
  read: ReadModules,
  settings: PipelineSettings,
  own: NonNullable<Extra["cloze"]>["routes"] = {},
): Embedder {
  const { routes, chosen } = readRouter(folder, steps[at].path);
  for (const route of routes.values()) checkModules(folder, route);
  const embedders = [...routes].map(([name, route]) => {
    const row = [...steps.slice(0, at), ...route, ...steps.slice(at + 1)];
    return [name, loadPipeline(folder, row, read, { ...settings, ...own[name] })] as const;
  });
  return createRoutedEmbedder(Object.fromEntries(embedders), chosen);
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
 * @throws EMBEDDER_FILE, EMBEDDER_MODULE, EMBEDDER_POOLING, EMBEDDER_SIMILARITY, INVALID_OPTION where routes give vectors of
 * different lengths, and what `loadModel` and `loadTokenizer` throw
 * @example
 * const embedder = loadEmbedder("all-MiniLM-L6-v2");
 * const vectors = embedder.embed(["How are you?"]); // [1, 384]
 */
export function loadEmbedder(folder: string, { weights, pooled = true }: LoadEmbedderOptions = {}): Embedder {
  const listed = optionalJson(join(folder, "modules.json"), modulesSchema);
  const steps = (listed ?? []).map(({ path, type }): Step => ({ path, type: lastSegment(type) }));
  const router = steps.findIndex(({ type }) => routerTypes.includes(type));
  checkModules(
    folder,
    steps.filter((_, i) => i !== router),
  );
  const extra = optionalJson(join(folder, "config_sentence_transformers.json"), extraSchema);
  if (steps.some(({ type }) => type === documentLevelModule)) return loadDocumentEmbedder(folder, steps, extra);
  const { specialTokens, fields, roles, routes } = extra?.cloze ?? {};
  const settings: PipelineSettings = {
    ...promptsOf(extra),
    similarity: pooled ? readSimilarity(extra?.similarity_fn_name, folder) : undefined,
    specialTokens,
    fields,
    roles: roles as TextRoles | undefined,
    weights,
    dimensions: extra?.truncate_dim ?? undefined,
    normalize: listed === undefined,
  };
  const read = nothingRead();
  try {
    if (router >= 0 && !pooled) {
      throw new ClozeError("EMBEDDER_MODULE", `${folder} has several encoders, where one is wanted`, {
        expected: "a folder of one encoder",
        received: steps[router].type,
      });
    }
    if (router >= 0) return loadRoutes(folder, steps, router, read, settings, routes);
    const embedder = loadPipeline(folder, steps, read, settings);
    if (pooled || poolsStates(embedder)) return embedder;
    throw new ClozeError("EMBEDDER_MODULE", `${folder} has modules between its encoder and its pooling`, {
      expected: "an encoder whose states are vectors of tokens",
      received: embedder.bag === undefined ? embedder.tokenModules.map(({ type }) => type).join(", ") : "BoW",
      remedy: "Use it as an embedder of whole texts, or start from the encoder's own folder.",
    });
  } catch (error) {
    releaseModules(read);
    throw error;
  }
}

export interface SaveEmbedderOptions {
  /** False: vectors of tokens are what counts, and no pooling is named. Default true. */
  pooled?: boolean;
  /** Further fields of config_sentence_transformers.json. */
  settings?: Readonly<Record<string, unknown>>;
}

const className = ({ path }: Pick<WrittenModule, "path">): string => `sentence_transformers.${path}`;

/** Writes rows of modules under a router; what they share is written once. */
function saveRoutes({ embedders, chosen }: EmbedderRoutes, folder: string, write: JsonWriter): void {
  const places = new Map<object, string>();
  const types: Record<string, string> = {};
  const structure: Record<string, string[]> = {};
  for (const [route, embedder] of embedders) {
    structure[route] = modulesOf(embedder).map((module, i) => {
      const known = module.identity === undefined ? undefined : places.get(module.identity);
      if (known !== undefined) return known;
      const id = `${route}_${i}_${module.type}`;
      writeModule(module, join(folder, id));
      types[id] = className(module);
      if (module.identity !== undefined) places.set(module.identity, id);
      return id;
    });
  }
  write(routerFile, { types, structure, parameters: routerParameters(chosen) });
  write("modules.json", [{ idx: 0, name: "0", path: "", type: className({ path: "models.Router" }) }]);
}

type JsonWriter = (name: string, value: unknown) => void;

/** What of an embedder its modules do not say. */
const readingOf = ({ options: { specialTokens } }: Embedder) => ({ specialTokens });

/**
 * Writes an embedder as a sentence-transformers folder: config.json, model.safetensors, tokenizer.json, modules.json and the
 * settings of its modules; with routes, a folder for each of their modules. Each file is replaced in one step; modules.json
 * comes last.
 *
 * @throws FILE_WRITE, DISK_FULL, EMBEDDER_MODULE for a bag whose tokenizer is no list of words
 */
export function saveEmbedder(
  embedder: Embedder,
  folder: string,
  { pooled = true, settings = {} }: SaveEmbedderOptions = {},
): void {
  const { normalize, prompts, defaultPrompt, similarity, roles, fields } = embedder.options;
  const { documentLevel, routes } = embedder;
  mkdirSync(folder, { recursive: true });
  const write: JsonWriter = (name, value) => writeJson(join(folder, name), value);
  const writeSettings = (cloze: unknown) =>
    write("config_sentence_transformers.json", {
      prompts,
      default_prompt_name: defaultPrompt ?? null,
      similarity_fn_name: similarity,
      cloze,
      ...settings,
    });
  const [first, ...behind] = modulesOf(embedder, pooled);
  if (routes !== undefined) {
    const own = [...routes.embedders].map(([name, one]) => [name, readingOf(one)] as const);
    writeSettings({ roles, ...(fields.length > 0 ? { fields } : {}), routes: Object.fromEntries(own) });
    saveRoutes(routes, folder, write);
    return;
  }
  first.write(folder);
  if (documentLevel !== undefined) {
    writeSettings({ normalize });
    saveDocumentLevel(documentLevel, folder);
    return;
  }
  writeSettings({ roles, ...readingOf(embedder), ...(fields.length > 0 ? { fields } : {}) });
  const modules = [{ idx: 0, name: "0", path: "", type: className(first) }];
  for (const module of behind) {
    const idx = modules.length;
    const path = `${idx}_${module.type}`;
    writeModule(module, join(folder, path));
    modules.push({ idx, name: String(idx), path, type: className(module) });
  }
  write("modules.json", modules);
}
