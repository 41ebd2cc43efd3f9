// Fine-tuning for pairs of texts, on ids.
import { argmax, createAdamW, crossEntropy, decayGroups, noGrad, scope, take, tensor } from "@cloze/tensor";
import { shuffledBatches } from "../data/batch-source.js";
import { packSequences } from "../data/packed-batch.js";
import type { Model } from "../families/index.js";
import type { ObjectiveVocabulary } from "../objectives/index.js";
import { createClassifier } from "../objectives/pairs/classifier.js";
import { pairSequence } from "../objectives/pairs/pair-batch.js";
import type { StructuralPair } from "../objectives/pairs/paragraph-pairs.js";
import { train, warmupLinear } from "../training/trainer.js";

export interface PairProbeOptions {
  readonly vocabulary: ObjectiveVocabulary;
  readonly seed: number;
  readonly maxLength: number;
  /** Default 10. */
  readonly epochs?: number;
  /** Default 20. */
  readonly batchSize?: number;
  /** Default 5e-4. */
  readonly learningRate?: number;
}

type Pair = Pick<StructuralPair, "first" | "second" | "label">;

/** Fine-tunes a model's encoder with a new classifier of pairs, and gives its accuracy on the test. Dispose the model afterwards. */
export async function pairAccuracy(
  { encoder }: Model,
  labelled: readonly Pair[],
  test: readonly Pair[],
  { vocabulary, seed, maxLength, epochs = 10, batchSize = 20, learningRate = 5e-4 }: PairProbeOptions,
): Promise<number> {
  const segments = encoder.config.segmentVocabularySize;
  const classifier = createClassifier("probe", 2, encoder.config, seed);
  const parameters = new Map([...encoder.parameters, ...classifier.parameters]);
  const optimizer = createAdamW(decayGroups(parameters, { learningRate, weightDecay: 0.01 }));
  const batchOf = (pairs: readonly Pair[]) => ({
    batch: packSequences(
      pairs.map(({ first, second }) => pairSequence(first, second, vocabulary, { maxLength, segments })),
    ),
    labels: Int32Array.from(pairs, ({ label }) => label),
  });
  const logitsOf = ({ batch }: ReturnType<typeof batchOf>, how: { training?: boolean; seed?: number }) => {
    const { hidden } = encoder.forward(batch, how);
    return classifier.logits(take(hidden, tensor(batch.offsets.slice(0, -1))));
  };
  try {
    await train({
      parameters,
      optimizer,
      source: shuffledBatches(labelled.length, batchSize, seed, (rows) =>
        batchOf(Array.from(rows, (row) => labelled[row])),
      ),
      steps: Math.max(1, Math.round((epochs * labelled.length) / batchSize)),
      schedule: warmupLinear(0.1),
      seed,
      loss: (made, { seed: at }) => crossEntropy(logitsOf(made, { training: true, seed: at }), tensor(made.labels)),
    });
    let right = 0;
    for (let start = 0; start < test.length; start += 100) {
      const made = batchOf(test.slice(start, start + 100));
      const found = scope(() => noGrad(() => argmax(logitsOf(made, {})).toTypedArray()));
      made.labels.forEach((label, i) => {
        if (found[i] === label) right++;
      });
    }
    return right / test.length;
  } finally {
    optimizer.dispose();
    classifier.dispose();
  }
}
