// The training loop: batch, loss, backward, guard, step; and around it what a long run needs.
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  backward,
  clipFactor,
  gradientNorm,
  mul,
  type Optimizer,
  removeDrafts,
  scope,
  type Tensor,
  writeFileAtomic,
} from "@cloze/tensor";
import type { BatchSource } from "../data/batch-source.js";
import { ClozeError } from "../errors.js";
import { findCheckpoint, loadCheckpoint, saveCheckpoint, type TrainerState } from "./checkpoint.js";
import { createMeter, type ProgressReporter, silentProgress } from "./progress.js";
import { openRunLog } from "./run-log.js";

/** What the loss of a batch may depend on besides the batch. */
export interface StepContext {
  /** Optimizer steps done before this one. */
  readonly step: number;
  /** Differs for every batch; the same in a resumed run. For dropout and random choices. */
  readonly seed: number;
}

/** A loss to go back from; or, where a method runs its own backward pass (cached contrastive), the number alone. */
export type LossFunction<Batch> = (batch: Batch, context: StepContext) => Tensor | number;

export interface TrainOptions<Batch> {
  /** What is trained, by the names of the checkpoint. */
  parameters: ReadonlyMap<string, Tensor>;
  optimizer: Optimizer;
  source: BatchSource<Batch>;
  loss: LossFunction<Batch>;
  /** Units (tokens) of a batch, for the progress line. */
  tokens?: (batch: Batch) => number;
  /** Stop after so many optimizer steps … */
  steps?: number;
  /** … or after so many minutes of training. One of the two is needed; with both, whichever comes first. */
  minutes?: number;
  /** What the learning rates are multiplied by, by the share of the run that is done. Default `warmupLinear(0.06)`. */
  schedule?: (fraction: number) => number;
  /** Batches whose gradients are averaged for one step. Default 1. */
  accumulate?: number;
  /** Longest gradient; default 1. Infinity: no clipping. */
  maximumGradientNorm?: number;
  /** Default 1. */
  seed?: number;
  /** Where checkpoints, `log.jsonl` and `loss.svg` go; without it nothing is written. */
  folder?: string;
  /** Minutes between checkpoints. Default 5; 0: only at the end and when interrupted. */
  checkpointMinutes?: number;
  /** Go on from the newest checkpoint of the folder, if there is one. */
  resume?: boolean;
  /** What must not change between an interrupted run and its continuation, as JSON. */
  settings?: unknown;
  progress?: ProgressReporter;
  /** The word before the progress line. Default "train". */
  task?: string;
  /** Called between steps; true stops the run as Ctrl-C does. */
  shouldStop?: (step: number) => boolean;
  /**
   * Called after each step, before its checkpoint; may take its time (evaluation). True ends the run as if its steps were
   * over: early stopping.
   */
  afterStep?: (step: number) => boolean | Promise<boolean>;
  /** Write a checkpoint also when the run is over. Default true; an interrupted run always writes one. */
  finalCheckpoint?: boolean;
  /** Describes a batch in the report of a diverged run. Default: the batch as JSON. */
  describe?: (batch: Batch) => unknown;
}

export interface TrainResult {
  readonly steps: number;
  /** Mean loss of the last steps. */
  readonly loss: number;
  readonly seconds: number;
  /** Of this run, without what it goes on from. Absent where batches do not say how many tokens they have. */
  readonly tokensPerSecond?: number;
  /** True when Ctrl-C (or `shouldStop`) ended the run early; a checkpoint was written if there is a folder. */
  readonly interrupted: boolean;
  readonly checkpoint?: string;
}

/** Rises over the first share of the run and falls in a straight line to 0. */
export const warmupLinear =
  (warmup: number) =>
  (fraction: number): number =>
    fraction < warmup ? (fraction + 1e-3) / (warmup + 1e-3) : Math.max(0, (1 - fraction) / (1 - warmup));

/** Rises over the first share of the run, stays, and falls over the last share ("trapezoid"). */
export const warmupConstantDecay =
  (warmup: number, decay: number) =>
  (fraction: number): number =>
    Math.min(1, warmup > 0 ? (fraction + 1e-3) / warmup : 1, decay > 0 ? Math.max(0, (1 - fraction) / decay) : 1);

function fingerprintOf(parameters: ReadonlyMap<string, Tensor>, settings: unknown): string {
  const shapes = [...parameters].map(([name, { shape }]) => `${name}:${shape.join("x")}`);
  return createHash("sha256")
    .update(JSON.stringify([shapes, settings]))
    .digest("hex")
    .slice(0, 16);
}

const toJson = (value: unknown): string =>
  JSON.stringify(value, (_, item) => (ArrayBuffer.isView(item) ? Array.from(item as Int32Array) : item));

/** Follows the loss, and throws when it is no number or has exploded; the batch is saved first. */
function createGuard(folder: string | undefined) {
  let average: number | undefined;
  let seen = 0;
  return (step: number, loss: number, norm: number, describe: () => unknown): number => {
    const usual = average ?? loss;
    const exploded = seen >= 20 && loss > 3 * Math.abs(usual) + 5;
    if (!Number.isFinite(loss) || !Number.isFinite(norm) || exploded) {
      let saved = "";
      if (folder !== undefined) {
        const path = join(folder, `diverged-step-${step}.json`);
        writeFileAtomic(path, toJson({ step, loss: String(loss), gradientNorm: String(norm), batch: describe() }));
        saved = ` The batch is in ${path}.`;
      }
      throw new ClozeError("TRAINING_DIVERGED", `Training diverged at step ${step}.${saved}`, {
        expected: `a loss near ${usual.toFixed(3)}`,
        received: `loss ${loss}, gradient norm ${norm}`,
        remedy: "Lower the learning rate, lengthen the warm-up, or look at that batch; then use --resume.",
      });
    }
    seen++;
    average = usual + (loss - usual) / Math.min(seen, 50);
    return average;
  };
}

/** Notes the first Ctrl-C; the second one ends the process as usual. */
function watchInterrupt(onFirst: () => void): { interrupted: () => boolean; stop: () => void } {
  let interrupted = false;
  const handle = () => {
    if (interrupted) process.exit(130);
    interrupted = true;
    onFirst();
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  return {
    interrupted: () => interrupted,
    stop() {
      process.off("SIGINT", handle);
      process.off("SIGTERM", handle);
    },
  };
}

/**
 * Trains until the steps or the minutes are over, Ctrl-C comes, or the loss explodes.
 *
 * With `steps`, a run that was interrupted and resumed gives the same parameters, bit for bit, as one that was not. (With
 * `minutes` the learning rate follows the clock, so it does not.)
 *
 * @throws TRAINING_LENGTH, TRAINING_DIVERGED (the batch is saved), CHECKPOINT_MISMATCH, CHECKPOINT_WRITE
 * @example
 * const { steps, loss } = await train({ parameters, optimizer, source, loss: (batch) => model.loss(batch), steps: 1000 });
 */
export async function train<Batch>(options: TrainOptions<Batch>): Promise<TrainResult> {
  const { parameters, optimizer, source, minutes, accumulate = 1, maximumGradientNorm = 1, seed = 1 } = options;
  const { schedule = warmupLinear(0.06), folder, checkpointMinutes = 5, task = "train" } = options;
  const {
    steps: lastStep = Number.POSITIVE_INFINITY,
    progress = silentProgress,
    describe = (batch) => batch,
  } = options;
  if (lastStep === Number.POSITIVE_INFINITY && minutes === undefined) {
    throw new ClozeError("TRAINING_LENGTH", "Say when training ends", { remedy: "Give steps or minutes." });
  }
  const fingerprint = fingerprintOf(parameters, [options.settings, seed, accumulate]);
  let step = 0;
  let elapsedBefore = 0;
  if (folder !== undefined) {
    mkdirSync(folder, { recursive: true });
    removeDrafts(folder);
  }
  const existing = folder === undefined ? undefined : findCheckpoint(folder);
  const found = options.resume ? existing : undefined;
  if (existing !== undefined && found === undefined) {
    progress.note(`Starts anew: the first checkpoint replaces ${existing}; to go on from that one, resume`);
  }
  if (options.resume && folder !== undefined && found === undefined) {
    progress.note(`Nothing to resume: ${folder} holds no checkpoint, so the run begins with step 0`);
  }
  if (found !== undefined) {
    const state = loadCheckpoint(found, fingerprint, parameters, (tensors) => optimizer.loadState(tensors));
    step = state.step;
    elapsedBefore = state.elapsed;
    source.restore(state.data);
    progress.note(`Resumed at step ${step} from ${found}`);
  }
  const log = folder === undefined ? undefined : openRunLog(folder, step);
  const guard = createGuard(folder);
  const fractionDone = (): number =>
    Math.max(step / lastStep, minutes === undefined ? 0 : meter.elapsed() / (minutes * 60));
  const meter = createMeter(task, fractionDone, elapsedBefore);
  let checkpoint = found;
  let savedStep = found === undefined ? undefined : step;
  const save = (): void => {
    if (folder === undefined || savedStep === step) return;
    const state: TrainerState = { version: 1, step, elapsed: meter.elapsed(), data: source.state(), fingerprint };
    checkpoint = saveCheckpoint(folder, state, parameters, optimizer.state());
    savedStep = step;
  };
  const watch = watchInterrupt(() => progress.note("Stopping after this step; press Ctrl-C again to stop at once."));
  let savedAt = meter.elapsed();
  let average = Number.NaN;
  let tokens = 0;
  let interrupted = false;
  let ended = false;
  try {
    while (fractionDone() < 1 && !ended) {
      let loss = 0;
      let batch: Batch | undefined;
      for (let part = 0; part < accumulate; part++) {
        batch = source.next();
        const count = options.tokens?.(batch) ?? 0;
        meter.count(count);
        tokens += count;
        const context = { step, seed: (seed * 0x9e3779b1 + step * accumulate + part) | 0 };
        loss += scope(() => lossAndGradients(options.loss, batch as Batch, context, accumulate)) / accumulate;
      }
      const norm = gradientNorm(parameters.values());
      average = guard(step, loss, norm, () => describe(batch as Batch));
      const rate = schedule(Math.min(1, fractionDone()));
      optimizer.step(rate, clipFactor(norm, maximumGradientNorm));
      optimizer.zeroGrad();
      step++;
      const learningRate = rate * (optimizer.groups[0]?.learningRate ?? 0);
      const event = meter.event(step, average, learningRate);
      progress.update(event);
      log?.write({
        step,
        loss,
        learningRate,
        gradientNorm: norm,
        tokensPerSecond: event.tokensPerSecond,
        elapsed: event.elapsed,
      });
      // Lets signals and servers in.
      await new Promise((resolve) => setImmediate(resolve));
      ended = (await options.afterStep?.(step)) ?? false;
      if (ended) break;
      interrupted = watch.interrupted() || (options.shouldStop?.(step) ?? false);
      if (interrupted) break;
      if (checkpointMinutes > 0 && meter.elapsed() - savedAt > checkpointMinutes * 60) {
        save();
        savedAt = meter.elapsed();
      }
    }
    if (options.finalCheckpoint !== false || (interrupted && fractionDone() < 1)) save();
    log?.draw();
  } catch (error) {
    try {
      log?.draw();
    } catch {
      // What stopped the run says more than a picture that could not be written.
    }
    throw error;
  } finally {
    watch.stop();
    progress.done();
  }
  const seconds = meter.elapsed();
  return {
    steps: step,
    loss: average,
    seconds,
    ...(options.tokens && { tokensPerSecond: tokens / Math.max(1e-9, seconds - elapsedBefore) }),
    interrupted: interrupted && fractionDone() < 1,
    checkpoint,
  };
}

function lossAndGradients<Batch>(
  loss: LossFunction<Batch>,
  batch: Batch,
  context: StepContext,
  accumulate: number,
): number {
  const value = loss(batch, context);
  // A method that ran its own backward pass has added whole gradients; `accumulate` then is its own business.
  if (typeof value === "number") return value;
  backward(accumulate === 1 ? value : mul(value, 1 / accumulate));
  return value.item();
}
