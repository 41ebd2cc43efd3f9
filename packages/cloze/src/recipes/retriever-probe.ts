// A shared tower fine-tuned on questions and measured on others, on ids.
import { createAdamW, decayGroups, noGrad, scope, type Tensor } from "@cloze/tensor";
import { shuffledBatches } from "../data/batch-source.js";
import { packSequences } from "../data/packed-batch.js";
import { randomOrder, randomSource } from "../data/random-source.js";
import type { Model } from "../families/index.js";
import { poolTokens } from "../heads/head.js";
import { normalizeRows } from "../objectives/contrastive.js";
import type { ObjectiveVocabulary } from "../objectives/index.js";
import { querySequence } from "../objectives/retrieval-pairs.js";
import { sampledSoftmaxLoss } from "../objectives/sampled-softmax.js";
import { train, warmupLinear } from "../training/trainer.js";

/** A question and the number of the passage that answers it. */
export interface AskedPassage {
  readonly question: Int32Array;
  readonly paragraph: number;
}

export interface TowerOptions {
  readonly vocabulary: ObjectiveVocabulary;
  readonly queryLength: number;
  readonly passageLength: number;
}

function embedded(
  model: Model,
  texts: readonly Int32Array[],
  longest: number,
  vocabulary: ObjectiveVocabulary,
  seed?: number,
): Tensor {
  const batch = packSequences(texts.map((ids) => querySequence(ids, vocabulary, longest)));
  const { hidden } = model.encoder.forward(batch, seed === undefined ? {} : { training: true, seed });
  return normalizeRows(poolTokens(hidden, batch, "mean"));
}

/** The cosine of every question and passage. -> [questions][passages] */
export function cosines(
  model: Model,
  questions: readonly Int32Array[],
  passages: readonly Int32Array[],
  { vocabulary, queryLength, passageLength }: TowerOptions,
): Float32Array[] {
  const rows = (texts: readonly Int32Array[], longest: number): Float32Array[] => {
    const found: Float32Array[] = [];
    for (let start = 0; start < texts.length; start += 64) {
      const part = scope(() =>
        noGrad(() => embedded(model, texts.slice(start, start + 64), longest, vocabulary)).toArray(),
      );
      found.push(...(part as number[][]).map((row) => Float32Array.from(row)));
    }
    return found;
  };
  const [q, d] = [rows(questions, queryLength), rows(passages, passageLength)];
  // Millions of pairs: plain loops.
  return q.map((x) => {
    const found = new Float32Array(d.length);
    for (let row = 0; row < d.length; row++) {
      const y = d[row];
      let sum = 0;
      for (let i = 0; i < y.length; i++) sum += y[i] * x[i];
      found[row] = sum;
    }
    return found;
  });
}

/** Fine-tunes on questions: cosines times 20, the batch's other passages as wrong answers. */
export async function tuneRetriever(
  model: Model,
  asked: readonly AskedPassage[],
  passages: readonly Int32Array[],
  {
    vocabulary,
    queryLength,
    passageLength,
    seed,
    steps,
    batchSize = 32,
  }: TowerOptions & { seed: number; steps: number; batchSize?: number },
): Promise<void> {
  const parameters = new Map(model.encoder.parameters);
  const optimizer = createAdamW(decayGroups(parameters, { learningRate: 5e-4, weightDecay: 0.01 }));
  try {
    await train({
      parameters,
      optimizer,
      source: shuffledBatches(asked.length, batchSize, seed, (rows) => Array.from(rows, (row) => asked[row])),
      steps,
      seed,
      schedule: warmupLinear(0.1),
      loss(batch, { seed: at }) {
        const q = embedded(
          model,
          batch.map(({ question }) => question),
          queryLength,
          vocabulary,
          at,
        );
        const d = embedded(
          model,
          batch.map(({ paragraph }) => passages[paragraph]),
          passageLength,
          vocabulary,
          at + 1,
        );
        return sampledSoftmaxLoss(q, d, { mask: (i, j) => batch[i].paragraph === batch[j].paragraph });
      },
    });
  } finally {
    optimizer.dispose();
  }
}

/** Shares of questions whose passage is among the best k; scores that are equal are in random order. */
export function recallAt(
  scores: readonly ArrayLike<number>[],
  asked: readonly AskedPassage[],
  ks: readonly number[],
): number[] {
  const random = randomSource(1);
  const ranks = asked.map(({ paragraph }, q) => {
    const own = scores[q][paragraph];
    let better = 0;
    let equal = 0;
    for (let d = 0; d < scores[q].length; d++) {
      if (scores[q][d] > own) better++;
      else if (d !== paragraph && scores[q][d] === own) equal++;
    }
    return better + Math.floor(random() * (equal + 1));
  });
  return ks.map((k) => ranks.filter((rank) => rank < k).length / ranks.length);
}

/** The share of dense scores, beside lexical ones scaled by their best, that finds most of some questions' passages at 10. */
export function fitHybrid(
  lexical: readonly Float32Array[],
  dense: readonly Float32Array[],
  asked: readonly AskedPassage[],
): number {
  const shares = [0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1];
  const recalls = shares.map((share) => recallAt(hybridScores(lexical, dense, share), asked, [10])[0]);
  return shares[recalls.indexOf(Math.max(...recalls))];
}

export const hybridScores = (
  lexical: readonly Float32Array[],
  dense: readonly Float32Array[],
  share: number,
): Float32Array[] =>
  lexical.map((row, q) => {
    const best = Math.max(
      1e-9,
      row.reduce((high, value) => Math.max(high, value), 0),
    );
    return row.map((value, d) => value / best + share * dense[q][d]);
  });

/** So many of a list, by seed. */
export const sampleOf = <T>(items: readonly T[], count: number, seed: number): T[] =>
  Array.from(randomOrder(items.length, randomSource(seed, 13)).subarray(0, count), (i) => items[i]);
