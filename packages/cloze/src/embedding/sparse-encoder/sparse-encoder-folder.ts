// Sparse encoders on disk: sentence-transformers' layout (MLMTransformer, SpladePooling); uniCOIL's one weight a token as Dense.
import { files, paths } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { loadModel, saveModel } from "../../families/index.js";
import { loadTokenizer } from "../../text/tokenizer.js";
import { createEmbedder } from "../embedder.js";
import { writeJson } from "../folder/json-file.js";
import { loadEmbedder, saveEmbedder } from "../sentence-transformers.js";
import { createSparseEncoder, type SparseEncoder, type SparseEncoderOptions } from "./sparse-encoder.js";

const { existsSync, mkdirSync, readFileSync } = files;
const { join } = paths;

const modulesSchema = z.array(z.looseObject({ path: z.string(), type: z.string() }));
const poolingSchema = z.looseObject({ pooling_strategy: z.enum(["max", "sum"]).default("max") });
const limitSchema = z.looseObject({ max_seq_length: z.int().positive().nullish() });
const settingsSchema = z.looseObject({
  cloze: z
    .looseObject({
      sparse: z
        .looseObject({ weighting: z.enum(["splade", "unicoil"]), encodeQueries: z.boolean().default(true) })
        .optional(),
    })
    .optional(),
});

function optional<T>(path: string, schema: z.ZodType<T>): T | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return schema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    throw new ClozeError("EMBEDDER_FILE", `${path} is not what sentence-transformers writes`, {
      received: cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause),
      cause,
    });
  }
}

const last = (type: string): string => type.split(".").pop() ?? "";

/** What Cloze says of a folder's sparse encoder; undefined where it is none, or one of others. */
const ownSettings = (folder: string) =>
  optional(join(folder, "config_sentence_transformers.json"), settingsSchema)?.cloze?.sparse;

/** Whether a folder holds a sparse encoder, not a plain model. */
export const isSparseEncoderFolder = (folder: string): boolean =>
  ownSettings(folder) !== undefined ||
  (optional(join(folder, "modules.json"), modulesSchema) ?? []).some(({ type }) => last(type) === "SpladePooling");

/**
 * Loads a sparse encoder: a folder of `saveSparseEncoder`, of sentence-transformers' SparseEncoder (SPLADE), or any masked
 * language model.
 *
 * @param options.maxLength tokens of a text at most, instead of what the folder says
 * @throws SPLADE_HEAD, EMBEDDER_FILE, and what `loadModel` and `loadTokenizer` throw
 */
export function loadSparseEncoder(
  folder: string,
  options: Pick<SparseEncoderOptions, "maxLength"> = {},
): SparseEncoder {
  const own = ownSettings(folder);
  const limit = optional(join(folder, "sentence_bert_config.json"), limitSchema)?.max_seq_length ?? undefined;
  const { maxLength = limit } = options;
  if (own?.weighting === "unicoil") {
    const { model, tokenizer, modules } = loadEmbedder(folder);
    return createSparseEncoder(model, tokenizer, {
      weighting: "unicoil",
      projection: modules[0],
      encodeQueries: own.encodeQueries,
      maxLength,
    });
  }
  const steps = optional(join(folder, "modules.json"), modulesSchema) ?? [];
  const transformer = join(folder, steps.find(({ type }) => last(type) === "MLMTransformer")?.path ?? "");
  const pooling = steps.find(({ type }) => last(type) === "SpladePooling");
  const model = loadModel(transformer);
  try {
    return createSparseEncoder(model, loadTokenizer(transformer), {
      pooling: pooling && optional(join(folder, pooling.path, "config.json"), poolingSchema)?.pooling_strategy,
      encodeQueries: own?.encodeQueries,
      maxLength,
    });
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/**
 * Writes a sparse encoder. SPLADE's folder is one of sentence-transformers' SparseEncoder.
 *
 * @throws FILE_WRITE, DISK_FULL
 */
export function saveSparseEncoder(encoder: SparseEncoder, folder: string): void {
  const { model, tokenizer, weighting, settings } = encoder;
  const { pooling, encodeQueries, maxLength, projection } = settings;
  const cloze = { sparse: { weighting: weighting.type, encodeQueries } };
  mkdirSync(folder, { recursive: true });
  if (projection !== undefined) {
    const whole = createEmbedder(model, tokenizer, { modules: [projection], normalize: false, maxLength });
    saveEmbedder(whole, folder, { pooled: false, settings: { similarity_fn_name: "dot", cloze } });
    return;
  }
  mkdirSync(join(folder, "1_SpladePooling"), { recursive: true });
  const write = (name: string, value: unknown) => writeJson(join(folder, name), value);
  saveModel(model, folder);
  tokenizer.save(folder);
  write("sentence_bert_config.json", { max_seq_length: maxLength, do_lower_case: false });
  write("1_SpladePooling/config.json", {
    pooling_strategy: pooling,
    activation_function: "relu",
    word_embedding_dimension: encoder.width,
  });
  write("config_sentence_transformers.json", {
    model_type: "SparseEncoder",
    prompts: {},
    default_prompt_name: null,
    similarity_fn_name: "dot",
    cloze,
  });
  const kind = "sentence_transformers.sparse_encoder.models";
  write("modules.json", [
    { idx: 0, name: "0", path: "", type: `${kind}.MLMTransformer` },
    { idx: 1, name: "1", path: "1_SpladePooling", type: `${kind}.SpladePooling` },
  ]);
}
