// Folders as Hugging Face has them: config.json and model.safetensors, in and out.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors, type SafetensorsFile, scope, writeFileAtomic, writeSafetensors } from "@cloze/tensor";
import { parseEncoderConfig } from "../encoder/config.js";
import { encoderSpecs } from "../encoder/encoder.js";
import type { ParameterSource } from "../encoder/parameters.js";
import type { ParameterSpec } from "../encoder/part.js";
import { deriveSeed } from "../encoder/seeds.js";
import { ClozeError } from "../errors.js";
import { headSpecs, parseHeadConfig } from "../heads/index.js";
import { type HeadFields, headOf } from "./architectures.js";
import { cloze } from "./cloze.js";
import type { ConfigJson, Family, NameMap } from "./family.js";
import { buildModel, type Model } from "./model.js";
import { families, familyOf } from "./registry.js";
import { nameInFile, readParameter, toFile, unfit } from "./weights.js";

export interface LoadModelOptions extends HeadFields {
  /**
   * Another class than the one that the folder names, for fine-tuning: "ForSequenceClassification". Weights of its head
   * that the file lacks, or has for another number of labels, are made anew (see `Model.initialized`).
   */
  architecture?: string;
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

/** A source that reads from the file, except for the names that are to be made anew. */
function sourceFrom(
  file: SafetensorsFile,
  family: Family,
  names: NameMap,
  prefix: string,
  specs: readonly ParameterSpec[],
  { fresh = [], seed }: { fresh?: readonly ParameterSpec[]; seed?: number } = {},
): ParameterSource {
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  const anew = new Set(fresh);
  return {
    seed,
    load(name) {
      const spec = byName.get(name);
      if (spec === undefined) throw new ClozeError("INTERNAL", `No shape is known for ${name}`);
      return anew.has(spec) ? undefined : readParameter(file, family, names, `${prefix}.${name}`, spec);
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
  return {
    ...merged,
    names: namesFit ? merged.names : undefined,
    labels: given.labels ?? given.names?.length ?? merged.labels,
  };
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
  const { architecture, seed = 1, ...fields } = options;
  const read = family.readConfig(json);
  const config = parseEncoderConfig(read.encoder);
  const wanted = headOf(architecture ?? classNameOf(json, family), mergeFields(read.head, fields));
  let head = parseHeadConfig(wanted);
  const file = openWeights(folder);
  try {
    let names = family.names(config, head);
    // A bare encoder is as good without a pooler.
    if (head.type === "pooler" && names.get("head.pooler.weight")?.every((name) => !nameInFile(file, family, name))) {
      head = parseHeadConfig({ type: "none" });
      names = family.names(config, head);
    }
    const specs = headSpecs(head, config);
    const fresh =
      architecture === undefined
        ? []
        : specs.filter((spec) => unfit(file, family, names, `head.${spec.name}`, spec) !== undefined);
    return buildModel(
      config,
      head,
      sourceFrom(file, family, names, "encoder", encoderSpecs(config)),
      sourceFrom(file, family, names, "head", specs, { fresh, seed: deriveSeed(seed, "head") }),
      { source: json, initialized: fresh.map(({ name }) => `head.${name}`) },
    );
  } finally {
    file.close();
  }
}

/** What stands under "cloze" besides what the families write there themselves. */
function keptCloze(source: ConfigJson): ConfigJson {
  const own: unknown = source.cloze;
  if (typeof own !== "object" || own === null) return {};
  const written = ["version", "encoder", "head", "sparse", "residualInit"];
  return Object.fromEntries(Object.entries(own).filter(([key]) => !written.includes(key)));
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
    architectures: [`${family.classPrefix}${model.architecture}`],
    model_type: family.modelType,
    ["torch_dtype" in kept ? "torch_dtype" : "dtype"]: "float32",
    cloze: own,
  };
  const entries = Object.entries(all).filter(([key]) => key !== "cloze" || Object.keys(own).length > 0);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
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
  const { config, head } = model;
  const preferred = families.filter(({ modelType }) => modelType === model.source?.model_type);
  let family: Family = cloze;
  let written: ConfigJson | undefined;
  for (const candidate of [...preferred, ...families]) {
    family = candidate;
    written = candidate.writeConfig(config, head.config);
    if (written !== undefined) break;
  }
  if (written === undefined) throw new ClozeError("INTERNAL", "No family could write this model");
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new ClozeError("FILE_WRITE", `The folder ${folder} could not be made`, { cause });
  }
  const names = family.names(config, head.config);
  scope(() => writeSafetensors(join(folder, "model.safetensors"), toFile(names, model.parameters), { format: "pt" }));
  writeFileAtomic(join(folder, "config.json"), `${JSON.stringify(configOf(model, family, written), null, 2)}\n`);
}
