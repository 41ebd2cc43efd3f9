// Folders as Hugging Face has them: config.json and model.safetensors, in and out.
import {
  files,
  paths,
  readSafetensors,
  type SafetensorsFile,
  scope,
  type Tensor,
  writeFileAtomic,
  writeSafetensors,
} from "@cloze/tensor";
import { z } from "zod";
import { type EncoderConfig, type EncoderConfigInput, parseEncoderConfig } from "../encoder/config.js";
import { encoderSpecs } from "../encoder/encoder.js";
import type { ParameterSource } from "../encoder/parameters.js";
import type { ParameterSpec } from "../encoder/part.js";
import { parseConfig } from "../encoder/registry.js";
import { deriveSeed } from "../encoder/seeds.js";
import { ClozeError } from "../errors.js";
import { type HeadConfig, headSpecs, parseHeadConfig } from "../heads/index.js";
import { architectureOfHead, type HeadFields, headOf } from "./architectures.js";
import { cloze } from "./cloze.js";
import { configText } from "./config-text.js";
import type { ConfigJson, Family, NameMap } from "./family.js";
import { defaultNames } from "./labels.js";
import { buildModel, type Model } from "./model.js";
import { tiedBias } from "./name-rules.js";
import { families, familyOf } from "./registry.js";
import { nameInFile, readParameter, toFile, unfit, unfitError } from "./weights.js";

const { existsSync, mkdirSync, readFileSync } = files;
const { join } = paths;

export interface LoadModelOptions extends HeadFields {
  /**
   * Another class than the one that the folder names, for fine-tuning: "ForSequenceClassification". Weights of its head
   * that the file lacks, or has for another number of labels, are made anew (see `Model.initialized`).
   */
  architecture?: string;
  /** Weights that are missing or have another shape than config.json says are made anew instead of refused. */
  allowMismatched?: boolean;
  /** For what is made anew. Default 1. */
  seed?: number;
}

function readConfigJson(folder: string): ConfigJson {
  const path = join(folder, "config.json");
  if (!existsSync(path)) {
    throw new ClozeError("CONFIG_MISSING", `${path} does not exist`, {
      remedy: "Give a folder with config.json and model.safetensors, as save_pretrained writes it.",
    });
  }
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ClozeError("CONFIG_INVALID", `${path} is no JSON`, {
      received: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as ConfigJson;
  throw new ClozeError("CONFIG_INVALID", `${path} holds no object`, { received: JSON.stringify(json)?.slice(0, 80) });
}

function openWeights(folder: string): SafetensorsFile {
  const present = ["model.safetensors", "model.safetensors.index.json"].some((name) => existsSync(join(folder, name)));
  if (!present && existsSync(join(folder, "pytorch_model.bin"))) {
    throw new ClozeError("WEIGHTS_FORMAT", `${folder} holds weights as a Python pickle only`, {
      expected: "model.safetensors",
      received: "pytorch_model.bin",
      remedy: "Most repositories offer model.safetensors too; or save the model again with transformers.",
    });
  }
  return readSafetensors(folder);
}

/** The class that a config.json names; a bare encoder when it names none. */
function classNameOf(json: ConfigJson, { classPrefix }: Family): string {
  const named: unknown = Array.isArray(json.architectures) ? json.architectures[0] : undefined;
  return typeof named === "string" ? named : `${classPrefix}Model`;
}

/** Reads the parameters `<prefix>.…`, except for those that are to be made anew. */
function sourceFrom(
  file: SafetensorsFile,
  family: Family,
  names: NameMap,
  prefix: string,
  specs: readonly ParameterSpec[],
  anew: ReadonlySet<string>,
  seed: number,
): ParameterSource {
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  return {
    seed,
    load(name) {
      const spec = byName.get(name);
      if (spec === undefined) throw new ClozeError("INTERNAL", `No shape is known for ${name}`);
      const parameter = `${prefix}.${name}`;
      return anew.has(parameter) ? undefined : readParameter(file, family, names, parameter, spec);
    },
  };
}

/** What the config says for a head, with what the caller says instead. */
function mergeFields(fromConfig: HeadFields, given: HeadFields): HeadFields {
  const merged: HeadFields = {
    ...fromConfig,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
  // Names belong to the number of labels that they were given with.
  const namesFit = given.names !== undefined || given.labels === undefined || given.labels === merged.names?.length;
  // A dropout that the caller gives is meant for whichever head there is.
  const dropouts =
    given.dropout === undefined
      ? {}
      : {
          tokenDropout: given.dropout,
          choiceDropout: given.dropout,
          answerDropout: given.answerDropout ?? given.dropout,
        };
  return {
    ...merged,
    ...dropouts,
    names: namesFit ? merged.names : undefined,
    labels: given.labels ?? given.names?.length ?? merged.labels,
  };
}

/** What a folder's config.json says: the encoder, and the head of the wanted class. */
function readDescription(json: ConfigJson, family: Family, { architecture, ...fields }: LoadModelOptions) {
  const { encoder, head, ownHead } = family.readConfig(json);
  const { seed: _, allowMismatched: _allow, ...given } = fields;
  const named = architecture ?? classNameOf(json, family);
  const own = architecture === undefined && Object.keys(given).length === 0 ? ownHead : undefined;
  return {
    config: parseEncoderConfig(withTraining(encoder, json)),
    head: parseHeadConfig(own ?? headOf(named, mergeFields(head, given), family)),
  };
}

/** Tensors of the file that no parameter is read from, by their names there. */
function unusedTensors(file: SafetensorsFile, family: Family, names: NameMap): string[] {
  const used = new Set(
    [...names.values()].flatMap((stored) => stored.names.map((name) => nameInFile(file, family, name) ?? name)),
  );
  return file.names.filter((name) => !used.has(name));
}

/**
 * Loads a model from a folder with config.json and model.safetensors (or shards). Half precision becomes float32.
 *
 * @throws CONFIG_MISSING, CONFIG_INVALID, CONFIG_UNSUPPORTED, MODEL_TYPE_UNKNOWN, ARCHITECTURE_UNKNOWN, WEIGHT_MISSING,
 * WEIGHT_SHAPE, VOCABULARY_MISMATCH, WEIGHTS_FORMAT, FILE_NOT_FOUND, SAFETENSORS_…
 * @example
 * const model = loadModel("models/bert-base-uncased");
 * const classifier = loadModel("models/bert-base-uncased", { architecture: "ForSequenceClassification", labels: 2 });
 */
export function loadModel(folder: string, options: LoadModelOptions = {}): Model {
  const json = readConfigJson(folder);
  const family = familyOf(json.model_type);
  const { architecture, allowMismatched = false, seed = 1 } = options;
  const { config, head: described } = readDescription(json, family, options);
  let head = described;
  const file = openWeights(folder);
  try {
    let names = family.names(config, head, json);
    // A bare encoder is as good without a pooler.
    if (
      head.type === "pooler" &&
      names.get("head.pooler.weight")?.names.every((name) => !nameInFile(file, family, name))
    ) {
      head = parseHeadConfig({ type: "none" });
      names = family.names(config, head, json);
    }
    const specs = { encoder: encoderSpecs(config), head: headSpecs(head, config) };
    const wrong = (["encoder", "head"] as const).flatMap((part) =>
      specs[part].flatMap((spec) => {
        const parameter = `${part}.${spec.name}`;
        return unfit(file, family, names, parameter, spec).map((found) => ({ ...found, parameter }));
      }),
    );
    const refused = wrong.filter(
      ({ parameter }) => !allowMismatched && (architecture === undefined || parameter.startsWith("encoder.")),
    );
    if (refused.length > 0) throw unfitError(file, refused);
    const anew = new Set(wrong.map(({ parameter }) => parameter));
    const initialized = [...anew];
    const unused = unusedTensors(file, family, names);
    const carried = (name: string): boolean => family.carries?.test(name) === true || tiedBias.test(name);
    const kept = architecture === undefined ? unused.filter(carried) : [];
    return buildModel(
      config,
      head,
      sourceFrom(file, family, names, "encoder", specs.encoder, anew, seed),
      sourceFrom(file, family, names, "head", specs.head, anew, deriveSeed(seed, "head")),
      {
        source: json,
        initialized,
        unused: unused.filter((name) => !kept.includes(name)),
        carried: new Map(kept.map((name) => [name, file.load(name)])),
      },
    );
  } finally {
    file.close();
  }
}

/** Fields of the encoder that change how it is trained, not what it computes; they stand under "cloze" for every family. */
function trainingFields({ embeddings, residualInit }: EncoderConfig): ConfigJson {
  return {
    ...("sparse" in embeddings && embeddings.sparse ? { sparse: true } : {}),
    ...(residualInit === "zero" ? { residualInit } : {}),
  };
}

const trainingSchema = z.looseObject({
  cloze: z
    .looseObject({ sparse: z.boolean().optional(), residualInit: z.enum(["normal", "zero"]).optional() })
    .optional(),
});

/** Undoes `trainingFields`. */
function withTraining(encoder: EncoderConfigInput, json: ConfigJson): EncoderConfigInput {
  const { sparse, residualInit } = parseConfig(trainingSchema, json, "config.json").cloze ?? {};
  return {
    ...encoder,
    ...(sparse === undefined
      ? {}
      : { embeddings: { ...encoder.embeddings, sparse } as EncoderConfigInput["embeddings"] }),
    ...(residualInit === undefined ? {} : { residualInit }),
  };
}

/** JSON with sorted keys, without what says nothing: dense weights, sizes that follow. */
function canonical({ hiddenSize }: EncoderConfig, value: unknown): string {
  const plain = (item: unknown): unknown => {
    if (Array.isArray(item)) return item.map(plain);
    if (typeof item !== "object" || item === null) return item;
    const entries = Object.entries(item)
      .filter(([key, inner]) => {
        if (inner === undefined) return false;
        if (key === "headSize" && "heads" in item) return Number(inner) * Number(item.heads) !== hiddenSize;
        // Of embeddings and poolers, whose width is the hidden size where they say nothing.
        if (key === "size") return inner !== hiddenSize;
        if (key !== "weights") return true;
        return Object.values(inner as Record<string, { type: string } | undefined>).some(
          (w) => w && w.type !== "dense",
        );
      })
      .map(([key, inner]) => [key, plain(inner)] as const);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  };
  return JSON.stringify(plain(value));
}

/** The fields with which a family describes a model, or undefined where reading them does not give the model again. */
function describe(family: Family, config: EncoderConfig, head: HeadConfig): ConfigJson | undefined {
  const written = family.writeConfig(config, head);
  if (written === undefined || family === cloze) return written;
  const own = trainingFields(config);
  const json: ConfigJson = {
    ...written,
    model_type: family.modelType,
    architectures: [`${family.classPrefix}${architectureOfHead(head, family)}`],
    ...(Object.keys(own).length > 0 ? { cloze: { ...(written.cloze as ConfigJson | undefined), ...own } } : {}),
  };
  // Not every model type has a place for the dropout of every head; a model that only lacks it is still that model.
  const comparable = (described: HeadConfig) => ({
    ...described,
    ...("labels" in described ? { names: described.names ?? defaultNames(described.labels) } : {}),
    ...("dropout" in described ? { dropout: 0 } : {}),
    ...("nextSentenceDropout" in described ? { nextSentenceDropout: 0 } : {}),
    ...("pooler" in described && described.pooler !== null ? { pooler: { ...described.pooler, dropout: 0 } } : {}),
  });
  try {
    const again = readDescription(json, family, {});
    const same =
      canonical(config, again.config) === canonical(config, config) &&
      // A head without parameters is read as a pooler; the file then shows that there is none.
      (head.type === "none" || canonical(config, comparable(again.head)) === canonical(config, comparable(head)));
    family.names(config, head, json);
    return same ? json : undefined;
  } catch (error) {
    if (error instanceof ClozeError) return undefined;
    throw error;
  }
}

/** What stands under "cloze" besides what the families write there themselves. */
function keptCloze(source: ConfigJson): ConfigJson {
  const own: unknown = source.cloze;
  if (typeof own !== "object" || own === null) return {};
  const written = ["version", "encoder", "head", "sparse", "residualInit", "rotaryRounding"];
  return Object.fromEntries(Object.entries(own).filter(([key]) => !written.includes(key)));
}

/** The fields of a config.json in the words of its source, where they say the same: "gelu_python", 224 or [224, 224]. */
function inWordsOf(
  source: ConfigJson,
  all: ConfigJson,
  written: ConfigJson,
  family: Family,
  config: EncoderConfig,
): ConfigJson {
  const meaning = (json: ConfigJson): string | undefined => {
    try {
      const described = readDescription(json, family, {});
      return canonical(config, [described.config, described.head]);
    } catch (error) {
      if (error instanceof ClozeError) return undefined;
      throw error;
    }
  };
  const expected = meaning(all);
  // Nothing reads label2id, so it would always say the same.
  const other = Object.keys(written).filter(
    (key) =>
      key in source &&
      !["label2id", "cloze"].includes(key) &&
      JSON.stringify(source[key]) !== JSON.stringify(written[key]),
  );
  // Fields may mean something together only (heads and their ratio), so first all at once.
  let json = all;
  const together = { ...all, ...Object.fromEntries(other.map((key) => [key, source[key]])) };
  if (meaning(together) === expected) return together;
  for (const key of other) {
    const candidate = { ...json, [key]: source[key] };
    if (meaning(candidate) === expected) json = candidate;
  }
  return json;
}

function configOf(model: Model, family: Family, written: ConfigJson): ConfigJson {
  const source: ConfigJson = model.source ?? {};
  // Fields of another model type would lie; those that no family looks after stay.
  const foreign = new Set(
    families
      .filter(({ modelType }) => modelType === source.model_type && modelType !== family.modelType)
      .flatMap(({ fields }) => fields),
  );
  const kept = Object.fromEntries(Object.entries(source).filter(([key]) => !foreign.has(key)));
  const own = { ...keptCloze(source), ...(written.cloze as ConfigJson | undefined) };
  const all: ConfigJson = {
    ...kept,
    ...written,
    architectures: [`${family.classPrefix}${architectureOfHead(model.head.config, family)}`],
    model_type: family.modelType,
    ["torch_dtype" in kept ? "torch_dtype" : "dtype"]: "float32",
    cloze: own,
  };
  const same = family.modelType === source.model_type && family !== cloze;
  const fields = same ? inWordsOf(source, all, written, family, model.config) : all;
  const entries = Object.entries(fields).filter(([key]) => key !== "cloze" || Object.keys(own).length > 0);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The family that a model is saved as (that of its source where it can), and the fields with which it describes it. */
export function descriptionOf(
  config: EncoderConfig,
  head: HeadConfig,
  source: ConfigJson = {},
): { family: Family; written: ConfigJson } {
  const preferred = families.filter(({ modelType }) => modelType === source.model_type);
  for (const family of [...preferred, ...families]) {
    const written = describe(family, config, head);
    if (written !== undefined) return { family, written };
  }
  throw new ClozeError("INTERNAL", "No family could write this model");
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new ClozeError("FILE_WRITE", `The folder ${folder} could not be made`, { cause });
  }
}

/**
 * Saves a model's config.json alone, for weights in another form beside it.
 *
 * @param extra fields to add
 * @throws FILE_WRITE, DISK_FULL
 */
export function saveConfig(model: Model, folder: string, extra: ConfigJson = {}): void {
  const { family, written } = descriptionOf(model.config, model.head.config, model.source);
  makeFolder(folder);
  writeFileAtomic(join(folder, "config.json"), configText({ ...configOf(model, family, written), ...extra }));
}

/**
 * Saves a model as config.json and model.safetensors. A model that transformers has a class for opens there; others are
 * saved as model type "cloze". Each file appears whole or not at all, the weights first.
 *
 * @throws FILE_WRITE, DISK_FULL
 * @example
 * saveModel(model, "models/mine");
 */
export function saveModel(model: Model, folder: string): void {
  const { config, head, carried } = model;
  const { family, written } = descriptionOf(config, head.config, model.source);
  makeFolder(folder);
  const json = configOf(model, family, written);
  const names = family.names(config, head.config, json);
  scope(() => {
    const constants = family.constants?.(config, head.config) ?? new Map<string, Tensor>();
    const extra = new Map([...constants, ...(family.modelType === model.source?.model_type ? carried : [])]);
    writeSafetensors(join(folder, "model.safetensors"), [...toFile(names, model.parameters), ...extra], {
      format: "pt",
    });
  });
  writeFileAtomic(join(folder, "config.json"), configText(json));
}
