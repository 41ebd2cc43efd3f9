// Fine-tuning for whatever task: rows in, a model with its head and its settings out.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createAdamW, type Tensor } from "@cloze/tensor";
import type { DataWarning, DataWarnings } from "../data/readers/index.js";
import { createWarnings } from "../data/readers/warnings.js";
import { parseConfig } from "../encoder/registry.js";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/index.js";
import { evaluateRows, type Scores, saveTaskModel, type Task, type TaskModel } from "../tasks/index.js";
import { checkMaxLength } from "../tasks/max-length.js";
import type { TaskBatch } from "../tasks/task.js";
import { storeExamples } from "../tasks/task-batch.js";
import { loadTokenizer, type Tokenizer } from "../text/index.js";
import { countUnknown, unknownRemedy } from "../text/unknown-texts.js";
import { type EvaluationRecord, followBest } from "./best-checkpoint.js";
import { changePositions, type PositionStart } from "./change-positions.js";
import { findCheckpoint, removeCheckpoints } from "./checkpoint.js";
import { freezeParameters, parameterGroups } from "./parameter-groups.js";
import { type AverageOptions, averageWeights } from "./policies/average.js";
import { addLora, type LoraOptions, mergeLora } from "./policies/lora.js";
import { saveLora } from "./policies/lora-files.js";
import { checkVocabulary } from "./pretrain.js";
import { silentProgress } from "./progress.js";
import { rowBatches } from "./row-batches.js";
import { modelForTask } from "./task-head.js";
import { type TrainOptions, type TrainResult, train } from "./trainer.js";
import { scheduleOf, type WarmupShape } from "./warmup-shapes.js";

type RunOptions = Pick<
  TrainOptions<TaskBatch>,
  "folder" | "resume" | "checkpointMinutes" | "accumulate" | "maximumGradientNorm" | "seed" | "progress" | "shouldStop"
>;

export interface FinetuneOptions<Row, Settings, Prediction> extends RunOptions {
  task: Task<Row, Settings, Prediction>;
  /** A model folder; or a model, which is used up: the result's model has its parameters. */
  model: string | Model;
  /** Default: that of the model's folder. */
  tokenizer?: Tokenizer;
  train: readonly Row[];
  /** Evaluated during training: the best checkpoint, early stopping and thresholds go by these. */
  dev?: readonly Row[];
  /** What the task may be asked, see its `options`. */
  taskOptions?: Readonly<Record<string, unknown>>;
  /** Times that every row is seen; the last may be a part. Default: the task's. */
  epochs?: number;
  /** Rows of a batch. Default: the task's. */
  batchSize?: number;
  /** Tokens of a batch, instead of rows. */
  batchTokens?: number;
  /** Highest learning rate. Default: the task's. */
  learningRate?: number;
  /** Of matrices; biases and norms do not decay. Default 0.01. */
  weightDecay?: number;
  /** Longest sequence. Default: the task's, or the model's positions where they are fewer. */
  maxLength?: number;
  /** How the learning rate goes on after the warm-up. Default "linear". */
  schedule?: WarmupShape;
  /** Share of the steps over which the learning rate rises. Default 0.1. */
  warmup?: number;
  /** Each layer learns this much slower than the one above it. Default 1. */
  layerDecay?: number;
  /** Patterns of names of parameters that keep their values: `encoder.embeddings.*`. */
  freeze?: readonly string[];
  /** Steps between evaluations. Default: once an epoch. */
  evaluateEvery?: number;
  /** Evaluations without improvement that end the run. Default: never. */
  patience?: number;
  /** The word embeddings' optimizer visits only rows that a step touched (as SparseAdam). Default true. */
  sparseEmbeddings?: boolean;
  /** A classifier for other labels, and weights that are missing or of another shape, are made anew, instead of an error.
   * Default false. */
  allowMismatched?: boolean;
  /**
   * Only adapters and the head are trained (arXiv 2106.09685). At the end they are saved as PEFT does in the folder `adapter`
   * of the run's folder, and merged into the model.
   */
  lora?: LoraOptions;
  /** Less memory: layers run again in the backward pass. Default false. */
  recompute?: boolean;
  /** Averages of the weights along the run are evaluated, and are the result. Default: the weights themselves. */
  average?: AverageOptions;
  /** The model gets new positions, or none (see `changePositions`), before it is trained. Default: it keeps its own. */
  positions?: PositionStart;
  /** Changes the model before it is trained, and gives the model to train. */
  prepareModel?: (model: Model) => Model;
}

export interface FinetuneResult<Row, Settings, Prediction> extends TaskModel<Row, Settings, Prediction> {
  readonly run: TrainResult;
  /** On the dev rows, in order. */
  readonly evaluations: readonly EvaluationRecord[];
  /** The evaluation whose weights the model has. */
  readonly best?: EvaluationRecord;
  /** Of these weights on the dev rows, with thresholds tuned there. */
  readonly devScores?: Scores;
  /** The run ended before its steps were over, since nothing improved. */
  readonly stoppedEarly: boolean;
  /** Parameters that were made anew. */
  readonly initialized: readonly string[];
  /** Parameters that were trained, and all. */
  readonly trainedParameters: number;
  readonly parameters: number;
  readonly warnings: readonly DataWarning[];
  readonly trainRows: number;
  /** What was used, with every default filled in. */
  readonly used: Readonly<Record<string, unknown>>;
}

const sizeOf = (parameters: ReadonlyMap<string, Tensor>): number =>
  [...parameters.values()].reduce((sum, { size }) => sum + size, 0);

/** Tables of which a step touches few rows keep their gradient's memory from step to step. */
function forgetGradient(parameter: Tensor): void {
  parameter.grad?.dispose();
  parameter.grad = undefined;
  parameter.touchedRows = undefined;
}

function stepOf(checkpoint: string | undefined): number {
  if (checkpoint === undefined) return 0;
  return (JSON.parse(readFileSync(join(checkpoint, "trainer_state.json"), "utf8")) as { step: number }).step;
}

function tokenizerOf(model: string | Model, given: Tokenizer | undefined): Tokenizer {
  if (given !== undefined) return given;
  if (typeof model === "string") return loadTokenizer(model);
  throw new ClozeError("TOKENIZER_FILE_MISSING", "A model in memory needs its tokenizer beside it", {
    remedy: "Give tokenizer.",
  });
}

/**
 * Fine-tunes a model for a task: AdamW (decay 0.01, none on biases and norms), 10 % linear warm-up and linear fall, gradients
 * clipped at 1, rows shuffled each epoch. Rows are tokenized once; batches are packed. With dev rows the weights of the best
 * evaluation are the result, and what the task tunes (thresholds) is tuned there. The folder receives the
 * model, `log.jsonl`, `loss.svg`, `evaluations.jsonl` and, while the run lasts, checkpoints; a resumed run equals one that
 * was not interrupted.
 *
 * @throws ROWS_EMPTY, TASK_OPTIONS, LABELS_ONE_CLASS, LABEL_MAP_MISMATCH, SEQUENCE_TOO_LONG, FREEZE_…, EMBEDDER_VOCABULARY and what
 * `loadModel`, the task and `train` throw
 * @example
 * const result = await finetune({ task: classification, model: "models/minilm", train, dev, epochs: 3, seed: 1 });
 * saveTaskModel(result, "runs/sentiment");
 */
export async function finetune<Row, Settings, Prediction>(
  options: FinetuneOptions<Row, Settings, Prediction>,
): Promise<FinetuneResult<Row, Settings, Prediction>> {
  const { task, seed = 1, taskOptions = {} } = options;
  if (options.train.length === 0) {
    throw new ClozeError("ROWS_EMPTY", "There is no row to train on", { remedy: "Check the training file." });
  }
  // Not after the first epoch.
  if (options.dev !== undefined && options.dev.length > 0) task.checkGold?.(options.dev);
  const warnings = createWarnings();
  const tokenizer = tokenizerOf(options.model, options.tokenizer);
  const asked = parseConfig(task.options, taskOptions, `The options of ${task.name}`, "TASK_OPTIONS");
  const wanted = task.prepare(options.train, asked, warnings);
  const opened = modelForTask(options.model, task, wanted, { seed, allowMismatched: options.allowMismatched });
  try {
    return await finetuneOpened(options, opened, tokenizer, warnings);
  } catch (error) {
    opened.model.dispose();
    throw error;
  }
}

/** The run itself, with the model and the settings that it starts from. */
async function finetuneOpened<Row, Settings, Prediction>(
  options: FinetuneOptions<Row, Settings, Prediction>,
  opened: ReturnType<typeof modelForTask<Row, Settings, Prediction>>,
  tokenizer: Tokenizer,
  warnings: DataWarnings,
): Promise<FinetuneResult<Row, Settings, Prediction>> {
  const { task, dev = [], folder, resume = false, seed = 1, progress = silentProgress, patience } = options;
  const { epochs, batchSize, learningRate } = { ...task.defaults, ...definedOf(options) };
  const {
    weightDecay = 0.01,
    schedule = "linear",
    warmup = 0.1,
    layerDecay = 1,
    freeze = [],
    accumulate = 1,
  } = options;
  const { evaluateEvery, batchTokens, maximumGradientNorm = 1, sparseEmbeddings = true, taskOptions = {} } = options;
  let { settings } = opened;
  const { lora, recompute, average, positions } = options;
  let { model } = opened;
  if (positions !== undefined) {
    model = changePositions(model, positions, { seed });
    // What went wrong later would free it twice.
    opened.model.dispose();
    opened.model = model;
  }
  model = options.prepareModel?.(model) ?? model;
  if (lora !== undefined) model = addLora(model, { seed, ...lora });
  const maxLength = options.maxLength ?? Math.min(task.defaults.maxLength, model.encoder.config.maxPositions);
  checkMaxLength(maxLength, model);
  checkVocabulary(model, tokenizer);
  const parameters = freezeParameters(model, freeze);
  const words = parameters.get("encoder.embeddings.word.weight");
  if (words !== undefined && sparseEmbeddings) words.sparseRows = true;

  const context = { tokenizer, maxLength, training: true, warnings };
  const unknown = countUnknown(tokenizer);
  const store = storeExamples(
    (function* () {
      for (const row of options.train) {
        const example = task.encode(row, settings, context);
        for (const { ids } of example.sequences) unknown.add(ids);
        yield example;
      }
    })(),
  );
  if (unknown.unknown > 0) {
    const message = `of ${unknown.texts} texts became only unknown tokens with this vocabulary, and teach nothing. They stay in; ${unknownRemedy}`;
    warnings.add("TEXT_UNKNOWN", message, "the rows to train on", unknown.unknown);
  }
  const batches = rowBatches(store, { batchSize, batchTokens, epochs, accumulate, seed });
  const { steps, epochEnds } = batches;
  const rate = scheduleOf(schedule, steps, warmup);
  const used = {
    task: task.name,
    taskOptions,
    epochs,
    ...(batchTokens === undefined ? { batchSize } : { batchTokens }),
    learningRate,
    weightDecay,
    schedule,
    warmup,
    layerDecay,
    freeze,
    maxLength,
    accumulate,
    maximumGradientNorm,
    sparseEmbeddings,
    ...(positions === undefined ? {} : { positions }),
    lora,
    average,
    seed,
  };
  if (folder !== undefined) mkdirSync(folder, { recursive: true });
  const resumedStep = resume && folder !== undefined ? stepOf(findCheckpoint(folder)) : 0;
  const best = followBest({ parameters, folder, patience, resumedStep });
  const current = (): TaskModel<Row, Settings, Prediction> => ({ task, settings, model, tokenizer, maxLength });
  const headline = task.headline(settings);

  let evaluated: TunedEvaluation<Settings> | undefined;
  let evaluatedStep = -1;
  async function evaluateNow(step: number): Promise<boolean> {
    if (dev.length === 0) return false;
    evaluated = await evaluateTuned(current(), dev);
    evaluatedStep = step;
    const { scores } = evaluated;
    const epoch = epochEnds.findIndex((end) => end >= step);
    const start = epoch === 0 ? 0 : epochEnds[epoch - 1];
    const value = scores.values[headline];
    const record = { step, epoch: epoch + (step - start) / (epochEnds[epoch] - start), value, scores: scores.values };
    best.add(record, step >= steps);
    progress.note(`step ${step}, epoch ${record.epoch.toFixed(1)}: ${headline} ${value.toFixed(4)} on the dev rows`);
    return best.exhausted();
  }

  const plain = createAdamW(
    parameterGroups(parameters, model.encoder.config.layers.length, { learningRate, weightDecay, layerDecay }),
  );
  const averaging = average === undefined ? undefined : averageWeights(plain, parameters, average);
  const optimizer = averaging ?? plain;
  const evaluate = (step: number): Promise<boolean> =>
    averaging === undefined ? evaluateNow(step) : averaging.withAverages(() => evaluateNow(step));
  let run: TrainResult;
  try {
    run = await train<TaskBatch>({
      parameters,
      optimizer,
      source: batches.source,
      task: task.name,
      steps: best.exhausted() ? resumedStep : steps,
      tokens: (batch) => batch.ids.length,
      settings: { ...used, settings: opened.settings, rows: store.count, tokens: store.tokens },
      schedule: (fraction) => rate(Math.round(fraction * steps)),
      accumulate,
      maximumGradientNorm,
      seed,
      folder,
      resume,
      checkpointMinutes: options.checkpointMinutes,
      finalCheckpoint: false,
      progress,
      shouldStop: options.shouldStop,
      loss(batch, { seed: stepSeed }) {
        const inputs = task.inputs(batch, settings, { tokenizer, training: true, seed: stepSeed });
        const output = model.forward(inputs.batch, { ...inputs.labels, training: true, seed: stepSeed, recompute });
        const loss = task.loss?.(output, batch, settings) ?? output.loss;
        if (loss !== undefined) return loss;
        throw new ClozeError("HEAD_MISMATCH", `The model's head gives no loss for the task ${task.name}`, {
          received: model.architecture,
        });
      },
      afterStep: (step) =>
        step >= steps || (evaluateEvery === undefined ? epochEnds.includes(step) : step % evaluateEvery === 0)
          ? evaluate(step)
          : false,
    });
    if (!run.interrupted) averaging?.apply();
  } finally {
    optimizer.dispose();
    for (const parameter of parameters.values()) forgetGradient(parameter);
  }
  let devScores: Scores | undefined;
  if (!run.interrupted && dev.length > 0) {
    best.restore(run.steps);
    const isLast = evaluated !== undefined && best.best()?.step === evaluatedStep;
    const final = isLast ? (evaluated as TunedEvaluation<Settings>) : await evaluateTuned(current(), dev);
    ({ settings, scores: devScores } = final);
    for (const { code, message, first, count } of final.warnings) warnings.add(code, message, `dev: ${first}`, count);
  }
  if (!run.interrupted) {
    if (lora !== undefined) {
      if (folder !== undefined) saveLora(model, join(folder, "adapter"));
      model = mergeLora(model);
    }
    if (folder !== undefined) {
      saveTaskModel(current(), folder);
      removeCheckpoints(folder);
    }
    best.done();
  }
  return {
    ...current(),
    run,
    evaluations: best.records,
    best: best.best(),
    devScores,
    stoppedEarly: !run.interrupted && run.steps < steps,
    initialized: opened.initialized,
    trainedParameters: sizeOf(parameters),
    parameters: sizeOf(model.parameters),
    warnings: warnings.list(),
    trainRows: store.count,
    used,
  };
}

/** Only what is defined. */
function definedOf<Options extends object>(options: Options): Partial<Options> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<Options>;
}

interface TunedEvaluation<Settings> {
  readonly settings: Settings;
  readonly scores: Scores;
  readonly warnings: readonly DataWarning[];
}

/** Scores under the settings that suit the rows best, and these settings. */
async function evaluateTuned<Row, Settings, Prediction>(
  taskModel: TaskModel<Row, Settings, Prediction>,
  rows: readonly Row[],
): Promise<TunedEvaluation<Settings>> {
  const { task, settings } = taskModel;
  const warnings = createWarnings();
  const { predictions, scores } = await evaluateRows(taskModel, rows, { warnings });
  const tuned = task.tune?.(rows, predictions, settings) ?? settings;
  if (tuned === settings || task.decide === undefined) return { settings: tuned, scores, warnings: warnings.list() };
  const { decide } = task;
  const again = predictions.map((prediction) => decide(prediction, tuned));
  return { settings: tuned, scores: task.score(rows, again, tuned, createWarnings()), warnings: warnings.list() };
}
