// A model folder with the weights that a plan multiplies, for every command to open.
import { copyFileSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { InputRange } from "@cloze/tensor";
import { quantizeModel } from "../compression/quantization/quantize-model.js";
import { ClozeError } from "../errors.js";
import { type Model, saveModel } from "../families/index.js";

/** What a folder may hold: the kinds of `compile`, and weights of 4 bits. */
export const storedKinds = ["float32", "int8", "sparse", "sparse-int8", "int4"] as const;
export type StoredKind = (typeof storedKinds)[number];

/** Files of a model that hold weights in some form, or follow from them; `saveModel` writes its own. */
const ofWeights =
  /^(config\.json|model.*\.safetensors(\.index\.json)?|pytorch_model.*|tf_model.*|flax_model.*|rust_model.*|onnx|openvino|\..*)$/;

/** Copies what stands beside the weights: tokenizer, task, settings and modules of an embedder. */
export function copyCompanions(from: string, to: string, transformer = from): void {
  if (resolve(from) === resolve(to)) return;
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (resolve(from) === resolve(transformer) && ofWeights.test(name)) continue;
    const [source, target] = [join(from, name), join(to, name)];
    // A model folder may lie inside of what it was made from.
    if (resolve(source) === resolve(to)) continue;
    if (statSync(source).isDirectory()) copyCompanions(source, target, transformer);
    else copyFileSync(source, target);
  }
}

export interface SaveCompiledOptions {
  weights: StoredKind;
  /** Ranges of what matrices take, where weights become codes. */
  inputRanges?: ReadonlyMap<string, InputRange>;
  /** Of 4-bit weights. Default 128. */
  groups?: number;
}

/**
 * Saves a model as its plan multiplies it: 8-bit or 4-bit codes where these are wanted, and in config.json (under "cloze") how
 * plans are to multiply. The folder opens everywhere, and is compiled in this way without being asked.
 *
 * @returns a model on the same parameters, now rounded; the one given is used up
 * @throws FILE_WRITE, DISK_FULL, NOT_FINITE, OPTION_INVALID
 */
export function saveCompiled(
  model: Model,
  folder: string,
  { weights, inputRanges, groups }: SaveCompiledOptions,
): Model {
  if (!storedKinds.includes(weights)) {
    throw new ClozeError("OPTION_INVALID", "Weights are of a kind that plans know", {
      expected: storedKinds.join(", "),
      received: String(weights),
    });
  }
  const coded = weights !== "float32" && weights !== "sparse";
  const stored = coded ? quantizeModel(model, { bits: weights === "int4" ? 4 : 8, groups, inputRanges }) : model;
  const own = stored.source?.cloze;
  const source = {
    ...stored.source,
    cloze: { ...(typeof own === "object" ? own : {}), compiled: { weights } },
  };
  saveModel({ ...stored, source }, folder);
  return stored;
}
