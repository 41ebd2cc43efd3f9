// How useful an encoder is by now: a copy of it is fine-tuned for a task, and scored.
import { createEncoder } from "../encoder/encoder.js";
import { copiesOf } from "../encoder/parameters.js";
import { assembleModel, type Model } from "../families/index.js";
import { wordTableOf } from "../families/model.js";
import { createHead } from "../heads/index.js";
import type { Task } from "../tasks/index.js";
import type { Tokenizer } from "../text/index.js";
import { finetune } from "./finetune.js";
import { hasLora, mergeLora } from "./policies/lora.js";

export interface ProbeOptions {
  readonly task: Task;
  readonly train: readonly unknown[];
  readonly dev: readonly unknown[];
  /** Default: the task's. */
  readonly epochs?: number;
  readonly learningRate?: number;
  readonly maxLength?: number;
  /** Default 1. */
  readonly seed?: number;
}

export interface ProbeResult {
  /** The headline score on the dev rows after the last epoch. */
  readonly score: number;
  readonly values: Readonly<Record<string, number>>;
}

/** A model of its own with the weights of another one's encoder and no head. */
export function copyOfEncoder({ encoder }: Model): Model {
  const copy = createEncoder(encoder.config, { load: copiesOf(encoder.parameters) });
  return assembleModel(copy, createHead({ type: "none" }, copy.config, { seed: 1 }, wordTableOf(copy)));
}

const withoutAdapters = (model: Model): Model => (hasLora(model) ? mergeLora(model) : model);

/**
 * Fine-tunes a copy of the encoder; the model itself is not touched. The score is that of the last epoch, since the best one
 * would be picked on the dev rows.
 *
 * @throws what `finetune` throws
 * @example
 * const { score } = await probe(model, tokenizer, { task: taskOf("classification"), train, dev, epochs: 3 });
 */
export async function probe(model: Model, tokenizer: Tokenizer, options: ProbeOptions): Promise<ProbeResult> {
  const { task, train, dev, epochs, learningRate, maxLength, seed = 1 } = options;
  const result = await finetune<unknown, unknown, unknown>({
    task,
    model: withoutAdapters(copyOfEncoder(model)),
    tokenizer,
    train,
    dev,
    epochs,
    learningRate,
    maxLength,
    seed,
    // One evaluation, at the end.
    evaluateEvery: Number.MAX_SAFE_INTEGER,
  });
  result.model.dispose();
  const last = result.evaluations.at(-1);
  return { score: last?.value ?? Number.NaN, values: last?.scores ?? {} };
}
