// Training of weights of words: against the share of queries that hold a word (DeepCT), or through the scores they make (DeepImpact).
import { crossEntropy, meanSquaredError, reshape, segmentSum, take, tensor } from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import { type RowTrainingOptions, trainOnRows } from "../../training/train-on-rows.js";
import type { TrainResult } from "../../training/trainer.js";
import type { TermWeighter } from "./term-weighter.js";

/** A text and the share of its queries that hold a word; words that are not named: 0. */
export interface TermRecallRow {
  readonly text: string;
  readonly recall: ReadonlyMap<string, number>;
}

/** A query with a document that answers it and one that does not. */
export interface TermScoreRow {
  readonly query: string;
  readonly positive: string;
  readonly negative: string;
}

export interface TrainTermWeighterOptions extends RowTrainingOptions {
  /** Rows of a batch. Default 16. */
  batchSize?: number;
  /** Default 2e-5. */
  learningRate?: number;
}

/** The share of a document's queries that hold a word (DeepCT's target). @param queries terms of each */
export function termRecall(queries: readonly (readonly string[])[]): Map<string, number> {
  const recall = new Map<string, number>();
  for (const terms of queries)
    for (const term of new Set(terms)) recall.set(term, (recall.get(term) ?? 0) + 1 / queries.length);
  return recall;
}

/**
 * Trains encoder and head: rows with `recall` by squared error over words, rows with two documents by softmax cross-entropy
 * over their scores (sums of the weights of the words that a document shares with the query).
 *
 * @throws TRAINING_ROWS without rows, or with rows of both kinds; and what `train` throws
 */
export async function trainTermWeighter(
  weighter: TermWeighter,
  rows: readonly TermRecallRow[] | readonly TermScoreRow[],
  options: TrainTermWeighterOptions = {},
): Promise<TrainResult> {
  const all: readonly (TermRecallRow | TermScoreRow)[] = rows;
  const recalls = all.filter((row): row is TermRecallRow => "recall" in row);
  const scored = all.filter((row): row is TermScoreRow => !("recall" in row));
  if (recalls.length > 0 && scored.length > 0) {
    throw new ClozeError("TRAINING_ROWS", "Rows with recall and rows with two documents have different losses", {
      expected: "rows of one kind",
      received: `${recalls.length} and ${scored.length}`,
      remedy: "Train twice, one kind after the other.",
    });
  }
  const context = (at: number) => ({ training: true, seed: at });
  function recallLoss(batch: readonly number[], at: number) {
    const texts = batch.map((i) => weighter.words(recalls[i].text));
    const targets = texts.flatMap(({ terms }, t) => terms.map((term) => recalls[batch[t]].recall.get(term) ?? 0));
    const weights = weighter.weights(texts, context(at)); // [words, 1]
    return meanSquaredError(weights, tensor(Float32Array.from(targets), weights.shape));
  }
  function scoreLoss(batch: readonly number[], at: number) {
    const texts = batch.flatMap((i) => [scored[i].positive, scored[i].negative].map(weighter.words));
    const weights = weighter.weights(texts, context(at)); // [words, 1]
    const shared: number[] = [];
    const ends = new Int32Array(texts.length + 1);
    let start = 0;
    for (const [t, { terms }] of texts.entries()) {
      const asked = new Set(weighter.terms(scored[batch[t >> 1]].query));
      terms.forEach((term, i) => {
        // A word that occurs again has the weight of its first occurrence.
        if (asked.has(term) && terms.indexOf(term) === i) shared.push(start + i);
      });
      start += terms.length;
      ends[t + 1] = shared.length;
    }
    const scores = segmentSum(take(weights, tensor(Int32Array.from(shared))), tensor(ends)); // [texts, 1]
    return crossEntropy(reshape(scores, [batch.length, 2]), tensor(new Int32Array(batch.length)));
  }
  return trainOnRows(
    {
      parameters: weighter.parameters,
      rows: all,
      batchSize: 16,
      learningRate: 2e-5,
      weightDecay: 0.01,
      settings: { type: weighter.type },
      loss: recalls.length > 0 ? recallLoss : scoreLoss,
    },
    options,
  );
}
