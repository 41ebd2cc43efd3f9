// Training of an embedder by any loss over vectors.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createAdamW, scope, type Tensor } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import type { RouterLossWeights } from "../objectives/router-losses.js";
import { countUnknown } from "../text/unknown-texts.js";
import { type EvaluationRecord, followBest } from "../training/best-checkpoint.js";
import { findCheckpoint, removeCheckpoints } from "../training/checkpoint.js";
import { silentProgress } from "../training/progress.js";
import { type TrainOptions, type TrainResult, train } from "../training/trainer.js";
import type { Embedder, TrainableEncoder } from "./embedder.js";
import type { EmbeddingEvaluator } from "./evaluation/evaluator.js";
import { createLoss, innermostKind, isCacheable, type LossConfig, rowsOfLoss } from "./losses/index.js";
import { emptyCounts, type TextCounts } from "./text-roles.js";
import { batchMaker, type EmbeddingBatch, epochPlan, labelsOf, plannedBatches } from "./training/batches.js";
import { lossRunner } from "./training/loss-runner.js";
import { type EmbeddingRow, rowOf, type TextPair } from "./training/rows.js";

export type { EmbeddingRow, TextPair } from "./training/rows.js";

type RunOptions = Pick<
  TrainOptions<EmbeddingBatch>,
  | "steps"
  | "minutes"
  | "folder"
  | "resume"
  | "checkpointMinutes"
  | "schedule"
  | "seed"
  | "progress"
  | "shouldStop"
  | "task"
>;

export interface TrainEmbedderOptions<Encoder = Embedder> extends RunOptions {
  /** What is learnt. Default: multiple negatives with `temperature`, `symmetric`. */
  loss?: LossConfig;
  /** Times that every row is seen, instead of `steps`. */
  epochs?: number;
  /** Highest learning rate. Default 2e-5, for a pre-trained encoder; from scratch take 1e-3 or more. */
  learningRate?: number;
  /** Of the word table, where it should differ. Default: `learningRate`. */
  tableLearningRate?: number;
  /** Default 0.01; the tables do not decay. */
  weightDecay?: number;
  /** Rows of a batch: the other documents of the batch are the wrong answers. Default 64. */
  batchSize?: number;
  /** Texts that are embedded at once, where a batch is larger than memory allows (GradCache). Default: all. */
  chunkSize?: number;
  /** What cosines are divided by, where no loss is given. Default 0.05. */
  temperature?: number;
  /** Rank queries for documents too, where no loss is given. Default true. */
  symmetric?: boolean;
  /** A batch of pairs holds no text twice. Default true. */
  noDuplicates?: boolean;
  /**
   * Where rows name fields: batches of all fields ("mixed": rows of other fields are easy wrong answers), or of one at a time,
   * in turn. Which is better depends on the model and the data (arXiv 2401.15713). Default "mixed".
   */
  fieldBatches?: "mixed" | "in-turn";
  /** What routers of experts are asked beside the loss, where rows name fields. Default: nothing. */
  router?: RouterLossWeights;
  /** Use the first layers only; the others rest. Default: all. */
  depth?: number;
  /** Decay rate of the second moment. Default 0.999. */
  beta2?: number;
  /** Guides the loss `gist`. */
  guide?: Embedder;
  /** Gives the vectors of the loss `mse` where rows have none. */
  teacher?: Embedder;
  /** Scores the embedder during the run: the weights of the best evaluation are the result. */
  dev?: EmbeddingEvaluator<Encoder>;
  /** Steps between evaluations. Default: a tenth of the run. */
  evaluateEvery?: number;
  /** Evaluations without improvement that end the run. Default: never. */
  patience?: number;
}

export interface TrainEmbedderResult extends TrainResult {
  /** The texts of all rows, and what of them did not fit. */
  readonly texts: TextCounts;
  /** Texts that the vocabulary writes with unknown tokens alone: nothing tells them apart. */
  readonly unknownTexts: number;
  /** On the dev data, in order. */
  readonly evaluations: readonly EvaluationRecord[];
  /** The evaluation whose weights the embedder has. */
  readonly best?: EvaluationRecord;
}

/** Rows with the teacher's vectors for labels. */
function taught(rows: readonly EmbeddingRow[], teacher: Embedder): EmbeddingRow[] {
  return scope(() => {
    const vectors = teacher.embed(rows.map(({ texts }) => texts[0])).toTypedArray() as Float32Array;
    return rows.map(({ texts }, i) => ({
      texts,
      label: Array.from(vectors.subarray(i * teacher.width, (i + 1) * teacher.width)),
    }));
  });
}

const hasField = ({ field }: EmbeddingRow): boolean => field !== undefined;

/** AdamW with the tables in a group of their own; vectors and tables do not decay. */
function optimizerFor(
  parameters: ReadonlyMap<string, Tensor>,
  options: Pick<TrainEmbedderOptions, "learningRate" | "tableLearningRate" | "weightDecay" | "beta2">,
) {
  const { learningRate = 2e-5, weightDecay = 0.01, beta2 = 0.999 } = options;
  const { tableLearningRate = learningRate } = options;
  if (![...parameters.values()].some(({ requiresGrad }) => requiresGrad)) {
    throw new ClozeError("FREEZE_ALL", "This embedder has nothing to train", {
      expected: "a parameter that learns",
      received: [...parameters.keys()].join(", "),
      remedy: "Word embeddings learn where their settings say update_embeddings; put a Dense behind a bag of words.",
    });
  }
  const isTable = (name: string) => /^(routes\.[^.]*\.)?embeddings\./.test(name);
  const group = (name: string, wanted: (key: string, parameter: Tensor) => boolean, rate: number, decay: number) => ({
    name,
    parameters: [...parameters].filter(([key, parameter]) => parameter.requiresGrad && wanted(key, parameter)),
    learningRate: rate,
    weightDecay: decay,
  });
  return createAdamW(
    [
      group("tables", isTable, tableLearningRate, 0),
      group("matrices", (key, { rank }) => !isTable(key) && rank > 1, learningRate, weightDecay),
      group("vectors", (key, { rank }) => !isTable(key) && rank <= 1, learningRate, 0),
    ],
    { beta2 },
  );
}

const stepOf = (folder: string | undefined): number => {
  const checkpoint = folder === undefined ? undefined : findCheckpoint(folder);
  if (checkpoint === undefined) return 0;
  return (JSON.parse(readFileSync(join(checkpoint, "trainer_state.json"), "utf8")) as { step: number }).step;
};

/**
 * Trains an embedder, or an encoder whose vectors are sparse or of tokens; without a `loss` so that each query is nearest to its own document among those of its batch. With `dev`
 * the weights of the best evaluation are the result. A run of `steps` or `epochs` that was stopped and resumed equals one that
 * was not.
 *
 * @throws TRAINING_PAIRS when there are fewer than two rows, TRAINING_ROWS, LABELS_SHAPE, LOSS_UNKNOWN, LOSS_OPTIONS, and what
 * `train` throws
 * @example
 * await trainEmbedder(embedder, [{ query: "a small cat", document: "kitten" }, …], { steps: 500 });
 * await trainEmbedder(embedder, [{ texts: ["a cat", "a dog"], label: 0.4 }, …], { loss: "cosent", epochs: 4, dev: stsEvaluator(pairs) });
 */
export async function trainEmbedder<Encoder extends TrainableEncoder = Embedder>(
  embedder: Encoder,
  given: readonly (TextPair | EmbeddingRow)[],
  options: TrainEmbedderOptions<Encoder> = {},
): Promise<TrainEmbedderResult> {
  const { temperature = 0.05, symmetric = true, seed = 1, depth, folder, progress = silentProgress } = options;
  const config = options.loss ?? { type: "multiple-negatives", scale: 1 / temperature, symmetric };
  const shape = rowsOfLoss(config);
  const plainRows = given.map(rowOf);
  const { teacher, guide, dev } = options;
  const rows = shape === "vector" && teacher !== undefined ? taught(plainRows, teacher) : plainRows;
  const batchSize = Math.min(options.batchSize ?? 64, rows.length);
  if (batchSize < 2) {
    throw new ClozeError("TRAINING_PAIRS", "Embedders learn by comparing the rows of a batch", {
      expected: "at least two rows",
      received: String(rows.length),
    });
  }
  const labels = labelsOf(rows, shape);
  if (labels === undefined && shape !== "pair" && shape !== "triplet") {
    throw new ClozeError("LABELS_SHAPE", "Rows for this loss need a label", {
      expected: shape,
      remedy: shape === "vector" ? "Give vectors, or a teacher." : undefined,
    });
  }
  const { fieldBatches, noDuplicates = true } = options;
  const plan = epochPlan(shape, rows, { size: batchSize, seed, noDuplicates, fieldBatches });
  const perEpoch = options.epochs === undefined ? 0 : plan(0).length;
  const steps =
    options.steps ?? (options.epochs === undefined ? undefined : Math.max(1, Math.round(options.epochs * perEpoch)));
  const loss = createLoss(config, {
    width: embedder.width,
    layers: embedder.model.config.layers.length,
    classes: labels?.classes.length || undefined,
    seed,
    steps,
    guide: guide === undefined ? undefined : (texts) => guide.embed(texts),
  });
  const byToken = embedder.rowOffsets !== undefined;
  const severalEncoders =
    embedder.documentLevel !== undefined
      ? "an embedder of documents, which has two"
      : embedder.routes && "an embedder with routes, which have their own";
  if (byToken !== (loss.needs?.offsets === true)) {
    throw new ClozeError("LOSS_OPTIONS", "This loss is not for this kind of encoder", {
      expected: byToken ? "a loss over the vectors of tokens: colbert" : "a loss over one vector for each text",
      received: innermostKind(config).type,
      remedy: byToken ? undefined : "Train a ColBERT encoder with it (--encoder colbert).",
    });
  }
  if (loss.needs?.depths && severalEncoders !== undefined) {
    throw new ClozeError("LOSS_OPTIONS", "This loss wants the vectors of texts after each layer of one encoder", {
      received: severalEncoders,
    });
  }
  const parameters = new Map(embedder.parameters);
  for (const [name, value] of loss.parameters ?? []) parameters.set(`loss.${name}`, value);
  const texts = emptyCounts();
  // Routes have vocabularies of their own.
  const { tokenizer } = embedder;
  const unknown = tokenizer === undefined || embedder.routes !== undefined ? undefined : countUnknown(tokenizer);
  const source = plannedBatches(plan, batchMaker(embedder, rows, innermostKind(config), labels, texts, unknown));
  if (texts.truncatedTexts > 0)
    progress.note(
      `${texts.truncatedTexts} of ${texts.texts} texts were cut: ${texts.droppedTokens} tokens beyond the limit teach nothing`,
    );
  const unwritten = unknown?.note();
  if (unwritten !== undefined) progress.note(unwritten);
  const chunkSize = options.chunkSize ?? Number.POSITIVE_INFINITY;
  if (chunkSize < batchSize && !isCacheable(config)) {
    throw new ClozeError("LOSS_OPTIONS", "This loss cannot be computed in chunks", {
      remedy: "Leave the size of chunks out.",
    });
  }
  const oneVector = !byToken && !loss.needs?.depths && severalEncoders === undefined;
  if (options.router !== undefined && (chunkSize < batchSize || !oneVector || !rows.every(hasField))) {
    throw new ClozeError(
      "LOSS_OPTIONS",
      "Losses of routers need rows with fields, whole batches and the last layer's vectors",
      {
        received: JSON.stringify(options.router),
      },
    );
  }
  if (folder !== undefined) mkdirSync(folder, { recursive: true });
  const runner = lossRunner(embedder, rows, loss, options);
  const optimizer = optimizerFor(parameters, options);
  const best = followBest({
    parameters,
    folder: dev === undefined ? undefined : folder,
    patience: options.patience,
    resumedStep: options.resume ? stepOf(folder) : 0,
  });
  const every = options.evaluateEvery ?? Math.max(1, Math.floor((steps ?? 1000) / 10));
  let evaluatedStep = -1;
  const evaluate = async (step: number): Promise<boolean> => {
    if (dev === undefined) return false;
    const scores = await dev.evaluate(embedder);
    const value = scores[dev.headline];
    best.add({ step, epoch: perEpoch > 0 ? step / perEpoch : 0, value, scores }, step === steps);
    evaluatedStep = step;
    progress.note(`step ${step}: ${dev.name} ${dev.headline} ${value.toFixed(4)} on the dev data`);
    return best.exhausted();
  };
  let result: TrainResult;
  try {
    result = await train<EmbeddingBatch>({
      ...options,
      steps,
      parameters,
      optimizer,
      source,
      tokens: ({ parts }) => parts.reduce((sum, { ids }) => sum + ids.length, 0),
      settings: {
        loss: config,
        learningRate: options.learningRate,
        tableLearningRate: options.tableLearningRate,
        weightDecay: options.weightDecay,
        batchSize,
        depth,
        fieldBatches,
        router: options.router,
        rows: rows.length,
      },
      loss: (batch, context) =>
        chunkSize < batchSize ? runner.inChunks(batch, context, chunkSize) : runner.plain(batch, context),
      afterStep: (step) => (dev !== undefined && (step % every === 0 || step === steps) ? evaluate(step) : false),
      describe: ({ positions }) => Array.from(positions.subarray(0, 8), (i) => rows[i]),
    });
    if (!result.interrupted && dev !== undefined) {
      if (evaluatedStep !== result.steps) await evaluate(result.steps);
      best.restore(result.steps);
      best.done();
    }
  } finally {
    optimizer.dispose();
    for (const value of loss.parameters?.values() ?? []) value.dispose();
  }
  return { ...result, texts, unknownTexts: unknown?.unknown ?? 0, evaluations: best.records, best: best.best() };
}

/** One stage of `trainSentenceEncoder`. */
export interface TrainingStage extends Omit<TrainEmbedderOptions, "folder"> {
  data: readonly (TextPair | EmbeddingRow)[];
}

/**
 * Trains an embedder in stages, one after the other: pairs of inference first and scores of similarity last, say
 * (MahaSBERT, arXiv 2211.11187). A stage of 0 steps is left out.
 *
 * @throws what `trainEmbedder` throws
 * @example
 * await trainSentenceEncoder(embedder, [
 *   { loss: { type: "multiple-negatives", scale: 20 }, data: triplets, epochs: 1 },
 *   { loss: { type: "cosine", range: [0, 5] }, data: stsPairs, epochs: 4 },
 * ]);
 */
export async function trainSentenceEncoder(
  embedder: Embedder,
  stages: readonly TrainingStage[],
  { folder }: { folder?: string } = {},
): Promise<TrainEmbedderResult[]> {
  const results: TrainEmbedderResult[] = [];
  for (const [i, { data, ...options }] of stages.entries()) {
    if (options.steps === 0 || options.epochs === 0) continue;
    const own = folder === undefined ? undefined : join(folder, `stage-${i + 1}`);
    const result = await trainEmbedder(embedder, data, { ...options, folder: own });
    results.push(result);
    if (result.interrupted) break;
    if (own !== undefined) removeCheckpoints(own);
  }
  return results;
}
