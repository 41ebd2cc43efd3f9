// LoRA (arXiv 2106.09685) for whole models: adapters beside chosen matrices are trained, everything else stays as it is.
import { add, concat, matmul, mul, noGrad, scope, type Tensor, zeros } from "@cloze/tensor";
import type { EncoderConfig } from "../../encoder/config.js";
import { lookUp } from "../../encoder/parameters.js";
import { type EncoderMatrix, encoderMatrices, withWeights } from "../../encoder/surgery.js";
import { loraNames } from "../../encoder/weights/lora.js";
import { ClozeError } from "../../errors.js";
import { descriptionOf, type Family, type NameMap } from "../../families/index.js";
import { buildModel, type Model } from "../../families/model.js";
import { type StoredLayout, stacked, transposed } from "../../families/stored-layout.js";
import type { HeadConfig } from "../../heads/index.js";

export interface LoraOptions {
  /** Default 8. */
  rank?: number;
  /** The adapter's product is multiplied by alpha / rank. Default: the rank. */
  alpha?: number;
  /** Of what adapters take, in training. Default 0. */
  dropout?: number;
  /**
   * Matrices by the last words of their names, as the model's family has them ("query", "attention.output.dense") or as
   * Cloze has them ("mixer.output"); or "all-linear": all of the encoder. Default: query and value, where there are such.
   */
  targets?: readonly string[] | "all-linear";
  /** Whether the head is trained too. Default: heads that tasks have are, those of language models are not. */
  trainHead?: boolean;
  /** For the adapters' first values. Default 1. */
  seed?: number;
}

/** A matrix, and what its blocks of outputs are called in the family's files: "bert.encoder.layer.0.attention.self.query". */
export interface AdaptableMatrix {
  readonly matrix: EncoderMatrix;
  readonly modules: readonly string[];
  /** How the rows of a block's B lie in a file: in another order where the file has those of the matrix in another one. */
  readonly rows: Pick<StoredLayout, "read" | "write">;
}

/** The adapter of one matrix. */
export interface Adapter {
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  /** Blocks of outputs that are adapted. */
  readonly targets: readonly number[];
}

const trainedHeads: readonly HeadConfig["type"][] = [
  "sequence-classification",
  "token-classification",
  "question-answering",
  "multiple-choice",
];

/** The configuration without adapters. */
export const withoutLora = (config: EncoderConfig): EncoderConfig =>
  withWeights(config, ({ weights }) => (weights.type === "lora" ? weights.base : undefined));

/** What a model's family calls its parameters, adapters aside. */
export function familyNames(model: Model): { family: Family; names: NameMap } {
  const config = withoutLora(model.config);
  const { family, written } = descriptionOf(config, model.head.config, model.source);
  // Fields of the folder that the model came from may say how its parameters are called.
  const json = family.modelType === model.source?.model_type ? { ...model.source, ...written } : written;
  return { family, names: family.names(config, model.head.config, json) };
}

/** The matrices of a model that adapters can stand beside. */
export function adaptableMatrices(model: Model): AdaptableMatrix[] {
  const { names } = familyNames(model);
  return encoderMatrices(model.config).flatMap((matrix) => {
    const stored = names.get(`encoder.${matrix.path}.weight`);
    const shape = model.parameters.get(`encoder.${matrix.path}.weight`)?.shape.join();
    // A matrix that is stored otherwise has nothing that an adapter could be merged into.
    if (stored === undefined || shape !== [matrix.outputs, matrix.inputs].join()) return [];
    const modules = stored.names.map((name) => name.replace(/\.weight$/, ""));
    // Where a file has the fused matrix in one piece, its parts still have their usual names.
    const fused = matrix.name === "queryKeyValue" && modules.length === 1 && modules[0] === `encoder.${matrix.path}`;
    const rows = modules.length > 1 || stored.layout === transposed ? stacked : stored.layout;
    return [
      { matrix, rows, modules: fused ? ["query", "key", "value"].map((part) => `${modules[0]}.${part}`) : modules },
    ];
  });
}

const endsWith = (name: string, end: string): boolean => name === end || name.endsWith(`.${end}`);

/** The blocks of each matrix that targets mean. @throws LORA_TARGETS for one that finds nothing */
function chooseBlocks(all: readonly AdaptableMatrix[], targets: LoraOptions["targets"]): Map<string, number[]> {
  const chosen = new Map<string, number[]>();
  if (targets === "all-linear") {
    for (const { matrix, modules } of all)
      chosen.set(
        matrix.path,
        modules.map((_, block) => block),
      );
    return chosen;
  }
  const usual = targets ?? ["query", "value", "q_lin", "v_lin", "query_proj", "value_proj", "q", "v", "queryKeyValue"];
  const unmatched = new Set(usual);
  for (const { matrix, modules } of all) {
    const blocks = new Set<number>();
    for (const target of usual) {
      const found = modules.flatMap((module, block) => (endsWith(module, target) ? [block] : []));
      // By Cloze's name all blocks are meant; by default only where none of the others is there.
      const whole = endsWith(matrix.path, target) && (targets !== undefined || blocks.size === 0);
      for (const block of whole ? modules.map((_, i) => i) : found) blocks.add(block);
      if (whole || found.length > 0) unmatched.delete(target);
    }
    if (blocks.size > 0) chosen.set(matrix.path, [...blocks]);
  }
  if (chosen.size > 0 && (targets === undefined || unmatched.size === 0)) return chosen;
  const known = all.flatMap(({ modules }) => modules).filter((name, i, list) => list.indexOf(name) === i);
  throw new ClozeError("LORA_TARGETS", "LoRA: a target is no matrix of this model", {
    expected: `the last words of names such as ${known.slice(0, 8).join(", ")}; or all-linear`,
    received: [...unmatched].join(", "),
  });
}

/** The parameters that are trained: those that want gradients. */
export const trainedParameters = (model: Model): Map<string, Tensor> =>
  new Map([...model.parameters].filter(([, parameter]) => parameter.requiresGrad));

const isAdapter = (name: string): boolean => /\.lora\.\d+\.[ab]$/.test(name);

/** A model on the same parameters with another configuration of its weights; new ones by the seed, or as `replace` has them. */
function rebuild(model: Model, config: EncoderConfig, seed: number, replace: ReadonlyMap<string, Tensor> = new Map()) {
  const { source, initialized, unused, carried } = model;
  const wanted = new Map([...model.parameters].map(([name, parameter]) => [name, parameter.requiresGrad]));
  const load = (part: string) => (name: string) =>
    replace.get(`${part}.${name}`) ?? model.parameters.get(`${part}.${name}`);
  const built = buildModel(
    config,
    model.head.config,
    { seed, load: load("encoder") },
    { seed, load: load("head") },
    { source, initialized, unused, carried },
  );
  for (const [name, parameter] of built.parameters) parameter.requireGrad(wanted.get(name) ?? true);
  return built;
}

/** Puts adapters beside matrices, by their paths, and freezes the rest. The model given is used up. */
export function attachAdapters(
  model: Model,
  adapters: ReadonlyMap<string, Adapter>,
  { trainHead = trainedHeads.includes(model.head.config.type), seed = 1 }: Pick<LoraOptions, "trainHead" | "seed"> = {},
): Model {
  const blocksOf = new Map(adaptableMatrices(model).map(({ matrix, modules }) => [matrix.path, modules.length]));
  const config = withWeights(model.config, ({ path, weights }) => {
    const adapter = adapters.get(path);
    if (adapter === undefined) return undefined;
    if (weights.type === "lora") {
      throw new ClozeError("LORA_PRESENT", `${path} has an adapter already`, { remedy: "Merge it first (mergeLora)." });
    }
    return { type: "lora", ...adapter, blocks: blocksOf.get(path) ?? 1, base: weights };
  });
  const built = rebuild(model, config, seed);
  for (const [name, parameter] of built.parameters)
    parameter.requireGrad(isAdapter(name) || (trainHead && name.startsWith("head.")));
  return built;
}

/**
 * Adds adapters to a model. Only they (and the head of a task) want gradients afterwards; the others keep none, no state of
 * the optimizer, and what only their gradients would look at is not saved. The model computes what it did before, until it
 * is trained.
 *
 * @returns a model on the same parameters; the one given is used up, so dispose the result only
 * @throws LORA_TARGETS, LORA_PRESENT, CONFIG_INVALID
 * @example
 * const adapted = addLora(loadModel("bert", { architecture: "ForSequenceClassification" }), { rank: 8, targets: ["query", "value"] });
 */
export function addLora(model: Model, options: LoraOptions = {}): Model {
  const { rank = 8, alpha = rank, dropout = 0, targets } = options;
  const blocks = chooseBlocks(adaptableMatrices(model), targets);
  const adapters = new Map([...blocks].map(([path, chosen]) => [path, { rank, alpha, dropout, targets: chosen }]));
  return attachAdapters(model, adapters, options);
}

/** alpha / rank · B A of each adapted block, zeros for the others. -> [outputs, inputs] */
function productOf(model: Model, { path, weights, outputs, inputs }: EncoderMatrix): Tensor {
  if (weights.type !== "lora") throw new ClozeError("INTERNAL", `${path} has no adapter`);
  const { rank, alpha, blocks, targets } = weights;
  const parts = Array.from({ length: blocks }, (_, block) => {
    if (targets !== undefined && !targets.includes(block)) return zeros([outputs / blocks, inputs]);
    const { a, b } = loraNames(block);
    const at = (name: string) => lookUp(model.encoder.parameters, `${path}.${name}`);
    return mul(matmul(at(b), at(a)), alpha / rank);
  });
  return parts.length === 1 ? parts[0] : concat(parts, 0);
}

/**
 * Adds the products of adapters to their matrices and takes the adapters away: the model computes the same, as fast as one
 * that never had any. All parameters want gradients afterwards.
 *
 * @returns a model on the same parameters; the one given is used up
 * @throws LORA_MERGE where a matrix is stored in a way that nothing can be added to
 */
export function mergeLora(model: Model): Model {
  const merged = new Map<string, Tensor>();
  const matrices = encoderMatrices(model.config).filter(({ weights }) => weights.type === "lora");
  for (const matrix of matrices) {
    const name = `encoder.${matrix.path}.weight`;
    const weight = model.parameters.get(name);
    if (weight === undefined) {
      throw new ClozeError("LORA_MERGE", `${matrix.path} is stored in a way that no adapter can be added to`);
    }
    merged.set(name, noGrad(() => scope(() => add(weight, productOf(model, matrix)))).keep());
  }
  const built = rebuild(model, withoutLora(model.config), 1, merged);
  for (const [name, parameter] of model.parameters) {
    if (isAdapter(name) || merged.has(name)) parameter.dispose();
  }
  for (const parameter of built.parameters.values()) parameter.requireGrad();
  return built;
}

/** True for a model with adapters. */
export const hasLora = (model: Model): boolean =>
  encoderMatrices(model.config).some(({ weights }) => weights.type === "lora");
