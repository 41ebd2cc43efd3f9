// A row of modules from texts to vectors: one reads texts, then perhaps weights of layers, a pooling, and what stands behind it.
import { files, paths, readSafetensors, type Tensor, writeSafetensors } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/index.js";
import type { CompileOptions } from "../../inference/compile.js";
import { createEmbedder, type Embedder, type EmbedderOptions } from "../embedder.js";
import { layerPoolingOf } from "../layer-pooling.js";
import { createNormalize, createSlice, type EmbedderModule, embedderModules } from "../modules/index.js";
import { modesOf, type Pooling } from "../pooling.js";
import { type TokenModule, tokenModules } from "../token-modules/index.js";
import { inputModules } from "./index.js";
import type { InputModuleKind, InputParts } from "./input-module.js";
import { optionalJson, writeJson } from "./json-file.js";
import { poolingConfig, readPooling } from "./pooling-file.js";
import type { Step } from "./router-file.js";
import { readWeightedLayers, weightedLayersConfig, weightedLayersType, writeLayerWeights } from "./weighted-layers.js";

const { existsSync, mkdirSync } = files;
const { join } = paths;

const poolingType = "Pooling";

/** Modules that a row may hold. */
export const pipelineTypes: readonly string[] = [
  ...inputModules.map(({ type }) => type),
  weightedLayersType,
  ...tokenModules.map(({ type }) => type),
  poolingType,
  ...embedderModules.map(({ type }) => type),
];

/** A kind of module in a folder of its own. */
interface ModuleKind<Module> {
  readonly type: string;
  /** Its file of settings. Default config.json. */
  readonly file?: string;
  load(config: unknown, width: number, weight: (name: string) => Tensor): Module;
}

function readModule<Module>(
  kinds: readonly ModuleKind<Module>[],
  folder: string,
  { type, path }: Step,
  width: number,
): Module {
  const kind = kinds.find((one) => one.type === type) as ModuleKind<Module>;
  const config = optionalJson(join(folder, path, kind.file ?? "config.json"), z.looseObject({})) ?? {};
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

/** What rows of a folder share: modules that several name are read once. */
export interface ReadModules {
  readonly inputs: Map<string, InputParts>;
  readonly models: Map<string, Model>;
  readonly modules: Map<string, EmbedderModule>;
  readonly tokenModules: Map<string, TokenModule>;
}

export const nothingRead = (): ReadModules => ({
  inputs: new Map(),
  models: new Map(),
  modules: new Map(),
  tokenModules: new Map(),
});

/** Frees what was read, where it did not become an embedder. */
export function releaseModules({ inputs, models, modules, tokenModules: ofTokens }: ReadModules): void {
  for (const { model } of inputs.values()) model.dispose();
  for (const model of models.values()) model.dispose();
  for (const { parameters } of [...modules.values(), ...ofTokens.values()])
    for (const value of parameters.values()) value.dispose();
}

function once<Value>(known: Map<string, Value>, key: string, read: () => Value): Value {
  const value = known.get(key) ?? read();
  known.set(key, value);
  return value;
}

/** What stands first in a row, a plain model folder where nothing does. */
const inputOf = (steps: readonly Step[]): { kind: InputModuleKind; step: Step } => {
  const step = steps.find(({ type }) => inputModules.some((kind) => kind.type === type));
  const kind = inputModules.find(({ type }) => type === (step?.type ?? "Transformer")) as InputModuleKind;
  return { kind, step: step ?? { type: kind.type, path: "" } };
};

export interface PipelineSettings
  extends Pick<EmbedderOptions, "prompts" | "defaultPrompt" | "similarity" | "specialTokens" | "fields" | "roles"> {
  readonly weights?: CompileOptions["weights"];
  /** Length that vectors are cut to. Default: not at all. */
  readonly dimensions?: number;
  /** Scale vectors that no module scales. Default false. */
  readonly normalize?: boolean;
}

/** What reads the texts of a row, read once. @throws what kinds of first modules throw */
export const readInput = (folder: string, steps: readonly Step[], read: ReadModules): InputParts => {
  const { kind, step } = inputOf(steps);
  return once(read.inputs, step.path, () => kind.load(join(folder, step.path)));
};

/**
 * The embedder that a row of modules is.
 *
 * @throws EMBEDDER_FILE, EMBEDDER_MODULE, EMBEDDER_POOLING
 */
export function loadPipeline(
  folder: string,
  steps: readonly Step[],
  read: ReadModules,
  { dimensions: wanted, normalize: scaled = false, ...settings }: PipelineSettings,
): Embedder {
  const { kind, step: first } = inputOf(steps);
  const { model: base, tokenizer, reading, bag } = readInput(folder, steps, read);
  const ofTokens = steps.filter(({ type }) => tokenModules.some((one) => one.type === type));
  const layers = steps.find(({ type }) => type === weightedLayersType);
  const pooled = steps.find(({ type }) => type === poolingType);
  const misplaced = layers ?? ofTokens[0] ?? pooled;
  if (kind.pooled && misplaced !== undefined) {
    throw new ClozeError("EMBEDDER_MODULE", `${folder} pools vectors of texts`, {
      expected: `${kind.type}, and modules that take vectors of texts`,
      received: `${kind.type}, ${misplaced.type}`,
    });
  }
  const model =
    layers === undefined
      ? base
      : once(read.models, `${first.path} ${layers.path}`, () => readWeightedLayers(base, join(folder, layers.path)));
  const { pooling, includePrompt } =
    pooled === undefined
      ? { pooling: "mean" as Pooling, includePrompt: true }
      : readPooling(join(folder, pooled.path, "config.json"));
  const before: TokenModule[] = [];
  const stateWidth = (): number => before.at(-1)?.width ?? model.encoder.config.hiddenSize;
  for (const step of ofTokens)
    before.push(once(read.tokenModules, step.path, () => readModule(tokenModules, folder, step, stateWidth())));
  const behind = steps.filter(({ type }) => embedderModules.some((one) => one.type === type));
  let normalize = scaled || behind.at(-1)?.type === "Normalize";
  const modules: EmbedderModule[] = [];
  const width = (): number => modules.at(-1)?.width ?? bag?.words ?? stateWidth() * modesOf(pooling).length;
  for (const step of behind.at(-1)?.type === "Normalize" ? behind.slice(0, -1) : behind)
    modules.push(once(read.modules, step.path, () => readModule(embedderModules, folder, step, width())));
  const dimensions = wanted ?? width();
  if (dimensions < width()) {
    // What is left of a vector of length 1 is shorter, and sentence-transformers leaves it so.
    if (normalize) modules.push(createNormalize(width()));
    normalize = false;
    modules.push(createSlice(width(), dimensions));
  }
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  return createEmbedder(model, tokenizer, {
    ...reading,
    ...given,
    pooling,
    includePrompt,
    normalize,
    modules,
    tokenModules: before,
    bag,
  });
}

/** A module as it is written. */
export interface WrittenModule {
  readonly type: string;
  /** The path of its class, without the name of the package. */
  readonly path: string;
  /** Rows that share it write it once. */
  readonly identity?: object;
  /** Into a folder that exists. */
  write(folder: string): void;
}

const json = (folder: string, value: unknown, file = "config.json"): void => writeJson(join(folder, file), value);

const writtenModule = (module: EmbedderModule | TokenModule): WrittenModule => {
  const kinds: readonly { type: string; path: string; file?: string }[] = [...tokenModules, ...embedderModules];
  const { path, file }: Partial<(typeof kinds)[number]> = kinds.find(({ type }) => type === module.type) ?? {};
  return {
    type: module.type,
    path: path ?? `models.${module.type}`,
    identity: module.parameters.size > 0 ? module : undefined,
    write(folder) {
      if (module.parameters.size > 0) writeSafetensors(join(folder, "model.safetensors"), module.parameters);
      json(folder, module.config(), file);
    },
  };
};

/** The modules that an embedder is written as. @param pooled false: no pooling is named */
export function modulesOf(embedder: Embedder, pooled = true): WrittenModule[] {
  const { model, modules, options } = embedder;
  const kind = inputModules.find((one) => one.describes(embedder)) as InputModuleKind;
  const layers = layerPoolingOf(model);
  const stateWidth = embedder.tokenModules.at(-1)?.width ?? model.encoder.config.hiddenSize;
  const named = (type: string, identity: object | undefined, write: WrittenModule["write"]): WrittenModule => ({
    type,
    path: `models.${type}`,
    identity,
    write,
  });
  return [
    {
      type: kind.type,
      path: kind.path,
      identity: layers?.base ?? model,
      write: (folder) => kind.save(embedder, folder),
    },
    ...(layers === undefined
      ? []
      : [
          named(weightedLayersType, layers, (folder) => {
            writeLayerWeights(layers, folder);
            json(folder, weightedLayersConfig(model, layers));
          }),
        ]),
    ...embedder.tokenModules.map(writtenModule),
    ...(pooled && !kind.pooled
      ? [
          named(poolingType, undefined, (folder) =>
            json(folder, poolingConfig(stateWidth, options.pooling, options.includePrompt)),
          ),
        ]
      : []),
    ...modules.map(writtenModule),
    ...(options.normalize ? [named("Normalize", undefined, () => {})] : []),
  ];
}

/** Writes a module into a folder of its own. */
export function writeModule(module: WrittenModule, folder: string): void {
  mkdirSync(folder, { recursive: true });
  module.write(folder);
}
