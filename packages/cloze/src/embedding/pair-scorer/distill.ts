// Distilling a cross-encoder into a pair scorer: squared error on its logits (DSE, arXiv 1908.05161).
import {
  add,
  binaryCrossEntropy,
  createAdamW,
  crossEntropy,
  decayGroups,
  meanSquaredError,
  mul,
  noGrad,
  reshape,
  scope,
  slice,
  square,
  sub,
  sum,
  type Tensor,
  take,
  tensor,
} from "@cloze/tensor";
import { groupByTokenBudget, packSequences } from "../../data/packed-batch.js";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/index.js";
import { plannedForward } from "../../inference/planned-forward.js";
import type { Tokenizer } from "../../text/index.js";
import { type TrainOptions, type TrainResult, train } from "../../training/trainer.js";
import { scheduleOf } from "../../training/warmup-shapes.js";
import { epochPlan, plannedBatches } from "../training/batches.js";
import { createPairScorer, type PairScorer, type PairScorerOptions } from "./pair-scorer.js";

/** Two texts, in order, and what is known of them. */
export interface ScorablePair {
  readonly first: string;
  readonly second: string;
  /** A class (0, 1 …) or, for regression, a number. Absent: only the teacher speaks. */
  readonly label?: number;
}

/**
 * Raw logits of a cross-encoder for pairs, in their order: row i belongs to pair i. Where it has two outputs they become one,
 * t = logit_1 - logit_0, whose sigmoid is its probability of class 1.
 */
export function crossEncoderLogits(
  model: Model,
  tokenizer: Tokenizer,
  pairs: readonly ScorablePair[],
  { maxLength = 128, tokenBudget = 4096 }: { maxLength?: number; tokenBudget?: number } = {},
): number[][] {
  const { maxPositions } = model.encoder.config;
  const truncation = { maxLength: maxPositions > 0 ? Math.min(maxLength, maxPositions) : maxLength };
  const sequences = pairs.map(({ first, second }) => {
    const { ids, typeIds } = tokenizer.encode(first, { pair: second, truncation, padding: false });
    return { ids, segments: typeIds };
  });
  const groups = groupByTokenBudget(
    sequences.map(({ ids }) => ids.length),
    tokenBudget,
  );
  const planned = plannedForward(model);
  const logits: number[][] = new Array(pairs.length);
  try {
    for (const group of groups) {
      scope(() =>
        noGrad(() => {
          const output = planned.forward(packSequences(group.map((i) => sequences[i])));
          if (output.logits === undefined) {
            throw new ClozeError("HEAD_MISMATCH", "The teacher gives no logits for a pair", {
              expected: "a model for classification or regression",
              received: model.architecture,
            });
          }
          const rows = output.logits.toArray() as number[][];
          group.forEach((i, row) => {
            logits[i] = rows[row].length === 2 ? [rows[row][1] - rows[row][0]] : rows[row];
          });
        }),
      );
    }
  } finally {
    planned.close();
  }
  return logits;
}

export interface DistillPairScorerOptions
  extends Pick<TrainOptions<unknown>, "seed" | "folder" | "resume" | "progress" | "checkpointMinutes" | "shouldStop"> {
  /** The encoder to start from (pre-trained, not the fine-tuned teacher), which the scorer then owns. */
  student: Model;
  tokenizer: Tokenizer;
  pairs: readonly ScorablePair[];
  /** A fine-tuned cross-encoder, or its logits, row i those of pair i. Needless with `alpha` 0. */
  teacher?: { readonly model: Model; readonly tokenizer: Tokenizer } | readonly (readonly number[])[];
  /** Share of the distillation; 1: labels are not looked at; 0: plain training of the towers. Default 0.5. */
  alpha?: number;
  /** What labels are. Default "binary". */
  problem?: "binary" | "classes" | "regression";
  /** Classes, for "classes". Default: as many as the labels or the teacher tell. */
  classes?: number;
  pool?: PairScorerOptions["pool"];
  head?: PairScorerOptions["head"];
  /** Only the head is trained. Default false. */
  freeze?: boolean;
  maxLength?: number;
  /** Default: 8 epochs. */
  steps?: number;
  epochs?: number;
  /** Default 32. */
  batchSize?: number;
  /** Default 2e-5. */
  learningRate?: number;
  /** Default 0.01, none on biases and norms. */
  weightDecay?: number;
}

interface PairBatch {
  readonly positions: Int32Array;
  readonly batch: ReturnType<typeof packSequences>;
}

/** The loss of labels: cross-entropy, binary cross-entropy, or squared error, over the rows that have one. */
function labelLoss(
  logits: Tensor,
  labels: readonly (number | undefined)[],
  problem: "binary" | "classes" | "regression",
): Tensor | undefined {
  const known = labels.flatMap((label, i) => (label === undefined ? [] : [i]));
  if (known.length === 0) return undefined;
  const rows = known.length === labels.length ? logits : take(logits, tensor(Int32Array.from(known)));
  const values = known.map((i) => labels[i] as number);
  if (problem === "classes") return crossEntropy(rows, tensor(Int32Array.from(values)));
  const targets = tensor(Float32Array.from(values), rows.shape);
  return problem === "binary" ? binaryCrossEntropy(rows, targets) : meanSquaredError(rows, targets);
}

/**
 * Trains a pair scorer towards a cross-encoder: (1 - alpha) L(labels) + alpha mean over the batch of sum_c (s_c - t_c)², on
 * raw logits. 10 % warm-up, linear fall. The scorer encodes every candidate once; a pair then costs its head alone.
 *
 * @throws TRAINING_PAIRS, LABELS_SHAPE where the teacher's logits do not fit the pairs, and what `train` throws
 * @example
 * const { scorer } = await distillPairScorer({ student, tokenizer, teacher: { model, tokenizer }, pairs, alpha: 0.5 });
 */
export async function distillPairScorer(
  options: DistillPairScorerOptions,
): Promise<{ scorer: PairScorer; run: TrainResult; teacherLogits?: readonly (readonly number[])[] }> {
  const { student, tokenizer, pairs, teacher, alpha = 0.5, problem = "binary", seed = 1, maxLength = 128 } = options;
  const batchSize = Math.min(options.batchSize ?? 32, pairs.length);
  if (batchSize < 2) {
    throw new ClozeError("TRAINING_PAIRS", "There are too few pairs to learn from", {
      expected: "at least two",
      received: String(pairs.length),
    });
  }
  const teacherLogits =
    alpha === 0 || teacher === undefined
      ? undefined
      : "model" in teacher
        ? crossEncoderLogits(teacher.model, teacher.tokenizer, pairs, { maxLength })
        : teacher;
  const labelClasses = pairs.reduce((most, { label = 0 }) => Math.max(most, label), 0) + 1;
  const outputs = problem === "classes" ? (options.classes ?? teacherLogits?.[0].length ?? labelClasses) : 1;
  const wrong = teacherLogits?.findIndex((row) => row.length !== outputs) ?? -1;
  if ((alpha > 0 && teacherLogits?.length !== pairs.length) || wrong >= 0) {
    throw new ClozeError("LABELS_SHAPE", "The teacher's logits do not fit the pairs", {
      expected: `${pairs.length} rows of ${outputs}`,
      received: `${teacherLogits?.length ?? 0} rows${wrong >= 0 ? `, row ${wrong + 1} of ${teacherLogits?.[wrong].length}` : ""}`,
    });
  }
  const scorer = createPairScorer(
    student,
    tokenizer,
    { pool: options.pool, head: options.head, outputs, maxLength },
    { seed },
  );
  const first = scorer.tokenize(pairs.map((pair) => pair.first));
  const second = scorer.tokenize(pairs.map((pair) => pair.second));
  const plan = epochPlan(
    "scored-pair",
    pairs.map(() => ({ texts: [] })),
    { size: batchSize, seed, noDuplicates: false },
  );
  const steps = options.steps ?? Math.max(1, Math.round((options.epochs ?? 8) * plan(0).length));
  const source = plannedBatches(plan, (positions): PairBatch => {
    const rows = [...positions];
    const sequences = [...rows.map((i) => first[i]), ...rows.map((i) => second[i])];
    return { positions, batch: packSequences(sequences.map((ids) => ({ ids }))) };
  });
  const parameters = options.freeze
    ? new Map([...scorer.head].map(([name, value]) => [`head.${name}`, value] as const))
    : scorer.parameters;
  const optimizer = createAdamW(
    decayGroups(parameters, {
      learningRate: options.learningRate ?? 2e-5,
      weightDecay: options.weightDecay ?? 0.01,
    }),
  );
  const rate = scheduleOf("linear", steps, 0.1);
  const run = await train<PairBatch>({
    parameters,
    optimizer,
    source,
    steps,
    seed,
    task: "distil",
    schedule: (fraction) => rate(Math.round(fraction * steps)),
    tokens: ({ batch }) => batch.ids.length,
    settings: {
      alpha,
      problem,
      outputs,
      options: scorer.options,
      freeze: options.freeze,
      learningRate: options.learningRate,
      pairs: pairs.length,
    },
    folder: options.folder,
    resume: options.resume,
    progress: options.progress,
    checkpointMinutes: options.checkpointMinutes,
    shouldStop: options.shouldStop,
    loss({ positions, batch }, { seed: stepSeed }) {
      const count = positions.length;
      const embed = () => scorer.embedBatch(batch, { training: !options.freeze, seed: stepSeed });
      const vectors = options.freeze ? noGrad(embed) : embed();
      const [u, v] = [slice(vectors, [{ start: 0, end: count }]), slice(vectors, [{ start: count, end: 2 * count }])];
      const logits = scorer.pairLogits(u, v); // [pairs, outputs]
      const rows = [...positions];
      const labels = rows.map((i) => pairs[i].label);
      const terms: Tensor[] = [];
      const own = alpha < 1 ? labelLoss(logits, labels, problem) : undefined;
      if (own !== undefined) terms.push(mul(own, 1 - alpha));
      if (teacherLogits !== undefined) {
        const wanted = tensor(Float32Array.from(rows.flatMap((i) => [...teacherLogits[i]])), [count, outputs]);
        terms.push(mul(sum(square(sub(logits, wanted))), alpha / count));
      }
      // A batch without a label and without a teacher teaches nothing.
      if (terms.length === 0) return mul(sum(reshape(logits, [count * outputs])), 0);
      return terms.reduce((total, term) => add(total, term));
    },
  }).finally(() => optimizer.dispose());
  return { scorer, run, teacherLogits };
}
