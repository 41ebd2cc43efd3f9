// How long a pre-training run will take and how much memory, measured by a few of its own steps.
import { backward, clipFactor, gradientNorm, mul, scope } from "@cloze/tensor";
import type { Model } from "../families/model.js";
import type { ObjectiveVocabulary } from "../objectives/index.js";
import { type Pretraining, type PretrainOptions, preparePretraining } from "./pretrain.js";
import type { PretrainCorpus } from "./pretraining-batches.js";

export interface RunEstimate {
  /** Seconds of the whole run; of what is left, where it goes on. */
  readonly seconds: number;
  readonly steps: number;
  readonly secondsPerStep: number;
  readonly tokensPerStep: number;
  readonly tokensPerSecond: number;
  /** Resident memory of the process while it trains, bytes. */
  readonly residentBytes: number;
}

/** Trial steps: the first one warms caches and pools up. */
const trials = 3;

/** A step whose learning rate is 0: all the work, and the weights stay. */
function trialStep({ source, loss, trained, objective }: Pretraining, step: () => void, accumulate: number): number {
  let tokens = 0;
  for (let part = 0; part < accumulate; part++) {
    const batch = source.next();
    tokens += objective.tokens(batch);
    scope(() => {
      const value = loss(batch, { step: 0, seed: part });
      if (typeof value !== "number") backward(mul(value, 1 / accumulate));
    });
  }
  clipFactor(gradientNorm(trained.values()), 1);
  step();
  return tokens;
}

/**
 * Estimates a run by three of its steps at a learning rate of 0, after which the model is what it was.
 *
 * @throws what `pretrain` throws before its first step
 * @example
 * const { seconds, residentBytes } = estimateRun(model, tokenizer, corpus, { steps: 100_000 });
 */
export function estimateRun(
  model: Model,
  tokenizer: ObjectiveVocabulary,
  corpus: PretrainCorpus,
  options: PretrainOptions,
): RunEstimate {
  const { steps, minutes, accumulate = 1 } = options;
  const prepared = preparePretraining(model, tokenizer, corpus, options);
  const optimizer = prepared.createOptimizer();
  try {
    const seconds: number[] = [];
    let tokens = 0;
    let residentBytes = 0;
    for (let trial = 0; trial < trials; trial++) {
      const start = performance.now();
      const ofStep = trialStep(prepared, () => optimizer.step(0), accumulate);
      residentBytes = Math.max(residentBytes, process.memoryUsage.rss());
      optimizer.zeroGrad();
      if (trial === 0) continue;
      seconds.push((performance.now() - start) / 1000);
      tokens += ofStep;
    }
    const secondsPerStep = seconds.reduce((a, b) => a + b, 0) / seconds.length;
    const byClock = minutes === undefined ? Number.POSITIVE_INFINITY : (60 * minutes) / secondsPerStep;
    const count = Math.round(Math.min(steps ?? Number.POSITIVE_INFINITY, byClock));
    const tokensPerStep = tokens / seconds.length;
    return {
      seconds: count * secondsPerStep,
      steps: count,
      secondsPerStep,
      tokensPerStep,
      tokensPerSecond: tokensPerStep / secondsPerStep,
      residentBytes,
    };
  } finally {
    optimizer.dispose();
    for (const parameter of prepared.trained.values()) {
      parameter.grad?.dispose();
      parameter.grad = undefined;
    }
    prepared.dispose();
  }
}
