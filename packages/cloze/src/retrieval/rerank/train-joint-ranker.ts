// Fine-tuning of joint rankers: candidates are grouped anew each time that their query comes (arXiv 2205.01228).
import { crossEntropy, tensor } from "@cloze/tensor";
import { randomOrder, randomSource } from "../../data/random-source.js";
import { ClozeError } from "../../errors.js";
import { ofEachCandidate } from "../../objectives/pairs/joint-classifier.js";
import { type RowTrainingOptions, trainOnRows } from "../../training/train-on-rows.js";
import type { TrainResult } from "../../training/trainer.js";
import { type JointQuery, type JointRanker, jointGroups } from "./joint-ranker.js";

/** A query with its candidates, and what is right of each (ie-k, ae-k, re-k) or of all together (ie-1, ae-1). */
export interface JointRow extends JointQuery {
  /** Of each candidate: a class, 1 where it answers. */
  readonly labels?: readonly number[];
  /** Of the whole. */
  readonly label?: number;
}

/**
 * Trains a joint ranker by cross-entropy; as the paper has it 1e-5 is the learning rate unless told, 32 queries a batch.
 *
 * @throws TRAINING_ROWS without rows, LABELS_SHAPE for labels that are not as many as candidates, and what `train` throws
 */
export function trainJointRanker(
  ranker: JointRanker,
  rows: readonly JointRow[],
  options: RowTrainingOptions = {},
): Promise<TrainResult> {
  const { kind, candidates: size } = ranker.options;
  const each = ofEachCandidate(kind);
  const wrong = rows.findIndex(({ candidates, labels, label }) =>
    each ? labels?.length !== candidates.length || candidates.length === 0 : label === undefined,
  );
  if (wrong >= 0) {
    throw new ClozeError("LABELS_SHAPE", `Row ${wrong}: its labels do not fit what the model says`, {
      expected: each ? `labels of ${rows[wrong].candidates.length} candidates` : "label, of the whole",
      received: each ? String(rows[wrong].labels?.length ?? "none") : "none",
    });
  }
  return trainOnRows(
    {
      parameters: ranker.parameters,
      rows,
      batchSize: 32,
      learningRate: 1e-5,
      weightDecay: 0.01,
      settings: { ...ranker.options },
      loss(batch, seed) {
        const queries: JointQuery[] = [];
        const labels: number[] = [];
        for (const at of batch) {
          const row = rows[at];
          const order = randomOrder(row.candidates.length, randomSource(seed, at));
          const groups = jointGroups(row.candidates.length, size, (i) => order[i]);
          // What says something of the whole reads one group.
          for (const group of each ? groups : groups.slice(0, 1)) {
            queries.push({ query: row.query, candidates: group.map((i) => row.candidates[i]) });
            if (each) labels.push(...group.map((i) => row.labels?.[i] ?? 0));
            else labels.push(row.label ?? 0);
          }
        }
        return crossEntropy(ranker.logits(queries, { training: true, seed }), tensor(Int32Array.from(labels)));
      },
    },
    options,
  );
}
