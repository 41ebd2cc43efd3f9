// Adapters as PEFT keeps them: adapter_config.json and adapter_model.safetensors.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  addInPlace,
  contiguous,
  copyInto,
  matmul,
  mul,
  noGrad,
  readSafetensors,
  type SafetensorsFile,
  sameShape,
  scope,
  type Tensor,
  writeFileAtomic,
  writeSafetensors,
} from "@cloze/tensor";
import { z } from "zod";
import { encoderSpecs } from "../../encoder/encoder.js";
import { lookUp } from "../../encoder/parameters.js";
import type { ParameterSpec } from "../../encoder/part.js";
import { parseConfig } from "../../encoder/registry.js";
import { loraNames } from "../../encoder/weights/lora.js";
import { ClozeError } from "../../errors.js";
import { type Model, toFile } from "../../families/index.js";
import { nameInFile, readParameter } from "../../families/weights.js";
import { headSpecs } from "../../heads/index.js";
import {
  type AdaptableMatrix,
  type Adapter,
  adaptableMatrices,
  attachAdapters,
  familyNames,
  hasLora,
  trainedParameters,
  withoutLora,
} from "./lora.js";

const configName = "adapter_config.json";
const weightsName = "adapter_model.safetensors";
const prefix = "base_model.model.";

const taskTypes: Readonly<Record<string, string>> = {
  ForSequenceClassification: "SEQ_CLS",
  ForTokenClassification: "TOKEN_CLS",
  ForQuestionAnswering: "QUESTION_ANS",
  LMHeadModel: "CAUSAL_LM",
  Model: "FEATURE_EXTRACTION",
};

/** An adapted block of outputs, with the module that it is in a file. */
interface AdaptedBlock {
  readonly module: string;
  readonly path: string;
  readonly block: number;
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  readonly rows: AdaptableMatrix["rows"];
}

function adaptedBlocks(model: Model): AdaptedBlock[] {
  return adaptableMatrices(model).flatMap(({ matrix: { path, weights }, modules, rows }) => {
    if (weights.type !== "lora") return [];
    const { rank, alpha, dropout, targets } = weights;
    const chosen = targets ?? modules.map((_, block) => block);
    return chosen.map((block) => ({ module: modules[block], path, block, rank, alpha, dropout, rows }));
  });
}

const lastWord = (name: string): string => name.slice(name.lastIndexOf(".") + 1);
const parentOf = (name: string): string => name.slice(0, name.lastIndexOf("."));

/** Short names if they mean these modules and no other matrix of the model; else the names in full. */
function targetModules(blocks: readonly AdaptedBlock[], matrices: readonly string[]): string[] {
  const wanted = new Set(blocks.map(({ module }) => module));
  const short = new Set([...wanted].map(lastWord));
  const others = matrices.some((module) => !wanted.has(module) && short.has(lastWord(module)));
  return [...(others ? wanted : short)];
}

/** The modules that parameters are saved with as a whole: "classifier", or the parent of a parameter inside the encoder. */
function modulesToSave(names: Iterable<string>, encoderModule: string): string[] {
  const modules = Array.from(names, (name) =>
    encoderModule === "" || name.startsWith(`${encoderModule}.`) ? parentOf(name) : name.slice(0, name.indexOf(".")),
  );
  return [...new Set(modules)];
}

/** The value that most have, and what the others have by their modules. */
function commonValue(blocks: readonly AdaptedBlock[], key: "rank" | "alpha"): [number, Record<string, number>] {
  const counts = new Map<number, number>();
  for (const block of blocks) counts.set(block[key], (counts.get(block[key]) ?? 0) + 1);
  const [[common]] = [...counts].sort(([, a], [, b]) => b - a);
  const others = blocks.filter((block) => block[key] !== common).map((block) => [block.module, block[key]] as const);
  return [common, Object.fromEntries(others)];
}

/**
 * Saves the adapters of a model, and whatever else is trained (the head), as PEFT does; PEFT opens the folder where the
 * model's class is one of transformers.
 *
 * @param options.baseModel the model that they belong to: an id of the hub, or a path
 * @throws LORA_MISSING for a model without adapters, FILE_WRITE
 */
export function saveLora(model: Model, folder: string, { baseModel }: { baseModel?: string } = {}): void {
  const blocks = adaptedBlocks(model);
  if (blocks.length === 0) throw new ClozeError("LORA_MISSING", "The model has no adapters to save");
  const { names } = familyNames(model);
  const trained = [...trainedParameters(model)].filter(([name]) => names.has(name));
  const storedNames = trained.flatMap(([name]) => names.get(name)?.names ?? []);
  const matrices = [...names].flatMap(([name, stored]) =>
    (model.parameters.get(name)?.rank ?? 0) >= 2 ? stored.names.map(parentOf) : [],
  );
  const inEncoder = [...names].flatMap(([name, stored]) => (name.startsWith("encoder.") ? stored.names : []));
  const roots = new Set(inEncoder.map((name) => name.slice(0, name.indexOf("."))));
  const saved = modulesToSave(storedNames, roots.size === 1 && model.head.config.type !== "none" ? [...roots][0] : "");
  const [rank, rankPattern] = commonValue(blocks, "rank");
  const [alpha, alphaPattern] = commonValue(blocks, "alpha");
  const config = {
    alpha_pattern: alphaPattern,
    base_model_name_or_path: baseModel ?? null,
    bias: "none",
    fan_in_fan_out: model.source?.model_type === "gpt2",
    inference_mode: true,
    init_lora_weights: true,
    layers_to_transform: null,
    lora_alpha: alpha,
    lora_dropout: blocks[0].dropout,
    modules_to_save: saved.length > 0 ? saved : null,
    peft_type: "LORA",
    r: rank,
    rank_pattern: rankPattern,
    target_modules: targetModules(blocks, matrices),
    // PEFT takes the classifier of such a task for trained.
    task_type: saved.length > 0 || model.architecture === "Model" ? (taskTypes[model.architecture] ?? null) : null,
    use_dora: false,
    use_rslora: false,
  };
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new ClozeError("FILE_WRITE", `The folder ${folder} could not be made`, { cause });
  }
  scope(() => {
    const adapters = blocks.flatMap(({ module, path, block, rows }): [string, Tensor][] => {
      const { a, b } = loraNames(block);
      return [
        [`${prefix}${module}.lora_A.weight`, lookUp(model.encoder.parameters, `${path}.${a}`)],
        [
          `${prefix}${module}.lora_B.weight`,
          noGrad(() => rows.write(lookUp(model.encoder.parameters, `${path}.${b}`), 1))[0],
        ],
      ];
    });
    const others = toFile(names, trained).map(([name, value]): [string, Tensor] => [prefix + name, value]);
    writeSafetensors(join(folder, weightsName), [...adapters, ...others], { format: "pt" });
  });
  writeFileAtomic(join(folder, configName), `${JSON.stringify(config, null, 2)}\n`);
}

const patterns = z.record(z.string(), z.number().positive()).nullish();
const configSchema = z.looseObject({
  peft_type: z.literal("LORA"),
  r: z.int().min(1).default(8),
  lora_alpha: z.number().positive().default(8),
  lora_dropout: z.number().min(0).lt(1).default(0),
  rank_pattern: patterns,
  alpha_pattern: patterns,
  use_rslora: z.boolean().nullish(),
  base_model_name_or_path: z.string().nullish(),
});
/** What changes the computation in a way that Cloze has not. */
const unsupported = [
  "use_dora",
  "lora_bias",
  "use_qalora",
  "use_bdlora",
  "target_parameters",
  "trainable_token_indices",
  "layer_replication",
  "alora_invocation_tokens",
  "kasa_config",
];

function readAdapterConfig(folder: string) {
  const path = join(folder, configName);
  if (!existsSync(path)) {
    throw new ClozeError("ADAPTER_MISSING", `${path} does not exist`, {
      expected: `a folder with ${configName} and ${weightsName}, as PEFT's save_pretrained writes it`,
    });
  }
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ClozeError("ADAPTER_INVALID", `${path} is no JSON`, { cause });
  }
  const config = parseConfig(configSchema, json, configName, "ADAPTER_INVALID");
  for (const field of unsupported) {
    const value = config[field];
    if (value === undefined || value === null || value === false) continue;
    throw new ClozeError("ADAPTER_UNSUPPORTED", `${configName}: Cloze has no adapters with ${field}`, {
      received: JSON.stringify(value),
      remedy: "Merge the adapter in PEFT (merge_and_unload) and save the model.",
    });
  }
  return config;
}

/** The rank or alpha of a module: by the pattern that fits its name, as PEFT looks it up. */
function byPattern(pattern: z.output<typeof patterns>, module: string): number | undefined {
  const key = Object.keys(pattern ?? {}).find((name) => new RegExp(`(.*\\.)?(${name})$`).test(module));
  return key === undefined ? undefined : pattern?.[key];
}

/** A file whose names have lost PEFT's prefix. */
const withoutPrefix = (file: SafetensorsFile): SafetensorsFile => ({
  ...file,
  names: file.names.map((name) => (name.startsWith(prefix) ? name.slice(prefix.length) : name)),
  has: (name) => file.has(prefix + name),
  info: (name) => file.info(prefix + name),
  load: (name, dtype) => file.load(prefix + name, dtype),
});

const misfit = (message: string, expected: string, received: string): ClozeError =>
  new ClozeError("ADAPTER_MISMATCH", message, {
    expected,
    received,
    remedy: "Load the model that the adapter was trained on, as the same class and with the same labels.",
  });

/**
 * Puts the adapters of a folder, by PEFT or `saveLora`, on a model, with what was trained beside them. An adapter of a matrix
 * of the head (a pooler) is added to that matrix at once.
 *
 * @returns a model on the same parameters; the one given is used up (also where this throws after the files were read)
 * @throws ADAPTER_MISSING, ADAPTER_INVALID, ADAPTER_UNSUPPORTED, ADAPTER_MISMATCH, LORA_PRESENT, SAFETENSORS_…
 * @example
 * const model = mergeLora(loadLora(loadModel("bert", { architecture: "ForSequenceClassification" }), "adapter"));
 */
export function loadLora(model: Model, folder: string): Model {
  const config = readAdapterConfig(folder);
  if (hasLora(model))
    throw new ClozeError("LORA_PRESENT", "The model has adapters already", { remedy: "Merge them first." });
  const original = readSafetensors(join(folder, weightsName));
  try {
    const file = withoutPrefix(original);
    const { family, names } = familyNames(model);
    const rest = new Set(file.names);
    const moduleInFile = (module: string): string | undefined => {
      const candidates = [`${module}.weight`, ...family.aliases(`${module}.weight`)].map(parentOf);
      return candidates.find((name) => file.has(`${name}.lora_A.weight`) && file.has(`${name}.lora_B.weight`));
    };
    const settings = (module: string) => {
      const [a, b] = ["A", "B"].map((side) => `${module}.lora_${side}.weight`);
      rest.delete(a);
      rest.delete(b);
      const rank = file.info(a).shape[0];
      const stated = byPattern(config.rank_pattern, module) ?? config.r;
      if (rank !== stated) throw misfit(`${a} has another rank than ${configName} says`, String(stated), String(rank));
      const given = byPattern(config.alpha_pattern, module) ?? config.lora_alpha;
      return { a, b, rank, alpha: config.use_rslora ? given * Math.sqrt(rank) : given };
    };
    const adapters = new Map<string, Adapter>();
    const loads: { name: string; from: string; rows?: AdaptableMatrix["rows"] }[] = [];
    for (const { matrix, modules, rows } of adaptableMatrices(model)) {
      const targets: number[] = [];
      let first: { rank: number; alpha: number } | undefined;
      for (const [block, module] of modules.entries()) {
        const found = moduleInFile(module);
        if (found === undefined) continue;
        const { a, b, rank, alpha } = settings(found);
        first ??= { rank, alpha };
        if (first.rank !== rank || first.alpha !== alpha) {
          throw new ClozeError("ADAPTER_UNSUPPORTED", `${found} and its neighbours have adapters of several ranks`, {
            expected: `rank ${first.rank}, alpha ${first.alpha}`,
            received: `rank ${rank}, alpha ${alpha}`,
          });
        }
        targets.push(block);
        const local = loraNames(block);
        loads.push(
          { name: `encoder.${matrix.path}.${local.a}`, from: a },
          { name: `encoder.${matrix.path}.${local.b}`, from: b, rows },
        );
      }
      if (first !== undefined) adapters.set(matrix.path, { ...first, dropout: config.lora_dropout, targets });
    }
    const inHead = [...names].flatMap(([name, { names: stored }]) => {
      const module = stored.length === 1 && name.startsWith("head.") ? moduleInFile(parentOf(stored[0])) : undefined;
      return module === undefined || !name.endsWith(".weight") ? [] : [{ name, ...settings(module) }];
    });
    const plain = withoutLora(model.config);
    const specs = new Map<string, ParameterSpec>([
      ...encoderSpecs(plain).map((spec) => [`encoder.${spec.name}`, spec] as const),
      ...headSpecs(model.head.config, plain).map((spec) => [`head.${spec.name}`, spec] as const),
    ]);
    const whole = [...names].filter(([, { names: stored }]) =>
      stored.every((name) => nameInFile(file, family, name) !== undefined),
    );
    for (const [, { names: stored }] of whole)
      for (const name of stored) rest.delete(nameInFile(file, family, name) ?? name);
    if (rest.size > 0 || adapters.size + inHead.length === 0) {
      throw misfit(
        "The adapter belongs to another model",
        `names such as ${adaptableMatrices(model)[0]?.modules[0] ?? "none"}.lora_A.weight`,
        [...rest].slice(0, 3).join(", ") || "no adapter",
      );
    }
    const put = (parameter: Tensor, name: string, value: Tensor) => {
      if (!sameShape(parameter.shape, value.shape))
        throw misfit(
          `${name} does not fit the model`,
          `[${parameter.shape.join(", ")}]`,
          `[${value.shape.join(", ")}]`,
        );
      copyInto(parameter, value);
    };
    const built = attachAdapters(model, adapters);
    scope(() =>
      noGrad(() => {
        for (const { name, from, rows } of loads) {
          const value = file.load(from);
          const parameter = lookUp(built.parameters, name);
          put(parameter, from, rows === undefined ? value : contiguous(rows.read([value], parameter.shape)));
        }
        for (const [name] of whole) {
          const spec = specs.get(name);
          if (spec !== undefined)
            put(lookUp(built.parameters, name), name, readParameter(file, family, names, name, spec));
        }
        for (const { name, a, b, rank, alpha } of inHead) {
          const weight = lookUp(built.parameters, name);
          addInPlace(weight, mul(matmul(file.load(b), file.load(a)), alpha / rank));
        }
      }),
    );
    return built;
  } finally {
    original.close();
  }
}
