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
import { encoderSpecs } from "../encoder/encoder.js";
import type { ParameterSource } from "../encoder/parameters.js";
import type { ParameterSpec } from "../encoder/part.js";
import { deriveSeed } from "../encoder/seeds.js";
import { ClozeError } from "../errors.js";
import { headSpecs, parseHeadConfig } from "../heads/index.js";
import type { HeadFields } from "./architectures.js";
import { configOf, descriptionOf, readDescription } from "./config-description.js";
import { configText } from "./config-text.js";
import type { ConfigJson, Family, NameMap } from "./family.js";
import { buildModel, type Model } from "./model.js";
import { tiedBias } from "./name-rules.js";
import { familyOf } from "./registry.js";
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
  const { allowMismatched = false, seed = 1, ...wanted } = options;
  const { architecture } = wanted;
  const { config, head: described } = readDescription(json, family, wanted);
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
