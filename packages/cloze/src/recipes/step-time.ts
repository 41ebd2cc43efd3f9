import { backward, clipFactor, createAdamW, decayGroups, gradientNorm, scope } from "@cloze/tensor";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import type { EncoderConfigInput } from "../encoder/config.js";
import { createObjective, parseObjective } from "../objectives/index.js";
import { trainedParameters } from "../training/policies/lora.js";
import { madeVocabulary } from "./data/hidden-word-classes.js";
import { newModel } from "./pretrain-arm.js";

export interface StepTimeOptions {
  readonly encoder: EncoderConfigInput;
  /** Sequences of a batch and tokens of a sequence. */
  readonly sequences: number;
  readonly length: number;
  readonly seed?: number;
  /** Steps that are measured, after two that are not. Default 9. */
  readonly steps?: number;
}

/**
 * A way to time a whole training step of an objective (batch, forward, backward, clip, AdamW) on random tokens: call `step`
 * as often as wanted (it gives the loss), then `dispose`. `flops` is what a step computes by the objective's own count.
 */
export function prepareStep(
  objective: { readonly type: string; readonly [option: string]: unknown },
  { encoder, sequences, length, seed = 1 }: StepTimeOptions,
) {
  const { vocabularySize } = encoder;
  const vocabulary = { ...madeVocabulary(vocabularySize - 5), vocabularySize };
  const model = newModel(encoder, objective, seed);
  const frame = { model, vocabulary, maxLength: length, batchTokens: sequences * length, seed };
  const made = createObjective(parseObjective(objective), frame);
  if (made.prepare === undefined) throw new Error(`${objective.type} reads documents`);
  const { prepare } = made;
  const parameters = new Map([...trainedParameters(model), ...made.parameters]);
  const optimizer = createAdamW(decayGroups(parameters, { learningRate: 1e-4, weightDecay: 0.01 }));
  const random = randomSource(seed, 7);
  const batch = packSequences(
    Array.from({ length: sequences }, () => ({
      ids: [2, ...Array.from({ length: length - 2 }, () => 5 + Math.floor(random() * (vocabularySize - 5))), 3],
    })),
  );
  let step = 0;
  return {
    flops: made.flops(prepare(batch, randomSource(seed))),
    tokens: sequences * length,
    step(): number {
      const prepared = prepare(batch, randomSource(seed, step));
      const value = scope(() => {
        const loss = made.loss(prepared, { seed: seed * 1000 + step, step });
        backward(loss);
        return loss.item();
      });
      optimizer.step(1, clipFactor(gradientNorm(parameters.values()), 1));
      optimizer.zeroGrad();
      made.afterStep?.(++step);
      return value;
    },
    dispose(): void {
      optimizer.dispose();
      made.dispose();
      model.dispose();
    },
  };
}

/** Milliseconds of a step, the median. */
export function stepMilliseconds(
  objective: { readonly type: string; readonly [option: string]: unknown },
  options: StepTimeOptions,
): number {
  const prepared = prepareStep(objective, options);
  const times: number[] = [];
  for (let i = 0; i < 2 + (options.steps ?? 9); i++) {
    const start = performance.now();
    prepared.step();
    if (i >= 2) times.push(performance.now() - start);
  }
  prepared.dispose();
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
}
