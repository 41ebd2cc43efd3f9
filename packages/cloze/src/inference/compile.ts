// From a model to the fastest way of running it: a plan whose forward pass is one native call.
import {
  type BatchPlan,
  concat,
  createPlanBuilder,
  noGrad,
  type PlanSizes,
  type PlanValue,
  type PlanWeights,
  reshape,
  scope,
  type Tensor,
} from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../encoder/batch.js";
import type { Encoder } from "../encoder/encoder.js";
import type { PlanCondition } from "../encoder/part.js";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/index.js";
import { planPooling, poolTokens } from "../heads/head.js";

export interface CompileOptions {
  /**
   * How matrices are multiplied. "float32": as they are. "int8": 8-bit codes for weights (a scale for each output) and for
   * what they are multiplied with (a scale for each token, found at each run); three times as fast where the processor has
   * VNNI. "sparse": pruned matrices as the blocks that are left, where that is faster. "sparse-int8": both. Weights that are
   * stored as codes stay what they are; heads stay float32. Default: what `cloze compile` chose for this model, else
   * "float32".
   */
  weights?: PlanWeights;
  /** Threads of a run, at most those of the process (CLOZE_THREADS). Default: all. */
  threads?: number;
  /**
   * "hidden": [tokens, hidden]; "pooled": one vector for each sequence by `pooling`; "logits": what the head makes of it
   * (logits of sequences or tokens; of answers [tokens, 2], starts and ends; a pooler's output). Default "hidden".
   */
  outputs?: "hidden" | "pooled" | "logits";
  /** For "pooled". Default "mean". */
  pooling?: "first" | "mean";
}

/** A model that only infers. */
export interface CompiledModel {
  /** True: a plan. False: the engine runs it, for the reason beside. */
  readonly planned: boolean;
  readonly reason?: string;
  /** Numbers of a row of the output. */
  readonly width: number;
  /** How matrices are multiplied; of no account where the engine runs. */
  readonly weights: PlanWeights;
  /** What a row of the output stands for. */
  readonly per: "token" | "sequence";
  /**
   * Runs a batch on another thread, so that the event loop stays free. -> [tokens or sequences, width]
   *
   * @param options.threads of this run; default: as compiled
   * @throws TOKEN_OUT_OF_RANGE, SEQUENCE_TOO_LONG, SEGMENT_OUT_OF_RANGE, BATCH_SHAPE, EMPTY_SEQUENCE, PLAN_CLOSED
   */
  run(batch: EncoderBatch, options?: { threads?: number }): Promise<Float32Array>;
  /** The same at once. */
  runSync(batch: EncoderBatch): Float32Array;
  /** Whether the plan computes this batch; the engine computes the others. */
  takes(batch: EncoderBatch): boolean;
  /** Bytes of scratch memory that a batch of these sizes takes; 0 where the engine runs. */
  bytes(sizes: PlanSizes): number;
  /** Frees the plan's copies of the weights; the model stays. */
  close(): void;
}

function checkOffsets({ ids, offsets }: EncoderBatch): void {
  const grows = offsets.every((offset, i) => (i === 0 ? offset === 0 : offset >= offsets[i - 1]));
  if (grows && offsets.length > 0 && offsets[offsets.length - 1] === ids.length) return;
  throw new ClozeError("BATCH_SHAPE", "Offsets grow from 0 to the number of tokens", {
    expected: `0 … ${ids.length}`,
    received: `[${offsets.slice(0, 8).join(", ")}]`,
    remedy: "Build batches with packSequences.",
  });
}

function checkRows({ offsets }: EncoderBatch, per: CompiledModel["per"]): void {
  if (per === "token") return;
  for (let s = 0; s + 1 < offsets.length; s++) {
    if (offsets[s + 1] > offsets[s]) continue;
    throw new ClozeError("EMPTY_SEQUENCE", `Sequence ${s} has no token to stand for it`, {
      remedy: "Encode texts with their special tokens, or leave empty ones out.",
    });
  }
}

/** A model, or an encoder alone. */
type Compilable = Model | Encoder;
const isModel = (compiled: Compilable): compiled is Model => "encoder" in compiled;

const headMismatch = (received: string): ClozeError =>
  new ClozeError("HEAD_MISMATCH", "This model's head gives no single output", {
    received,
    remedy: 'Compile it with outputs "hidden" or "pooled".',
  });

/** The head of a model. @throws HEAD_MISMATCH */
function headOf(compiled: Compilable): Model["head"] {
  if (!isModel(compiled)) throw headMismatch("an encoder without a head");
  return compiled.head;
}

/** The plain twin: the same output through the engine. */
function throughEngine(compiled: Compilable, { outputs = "hidden", pooling = "mean" }: CompileOptions) {
  const encoder = isModel(compiled) ? compiled.encoder : compiled;
  const outputOf = (batch: EncoderBatch): Tensor | undefined => {
    if (outputs === "logits") {
      if (!isModel(compiled)) throw headMismatch("an encoder without a head");
      const { logits, pooled, startLogits, endLogits } = compiled.forward(batch);
      if (startLogits === undefined || endLogits === undefined) return logits ?? pooled;
      return concat(
        [startLogits, endLogits].map((scores) => reshape(scores, [batch.ids.length, 1])),
        1,
      );
    }
    const { hidden } = encoder.forward(batch);
    return outputs === "hidden" ? hidden : poolTokens(hidden, batch, pooling);
  };
  return (batch: EncoderBatch): Float32Array =>
    scope(() =>
      noGrad(() => {
        const value = outputOf(batch);
        if (value === undefined) throw headMismatch(headOf(compiled).config.type);
        return value.toTypedArray() as Float32Array;
      }),
    );
}

const compiledSchema = z.looseObject({
  cloze: z.looseObject({ compiled: z.looseObject({ weights: z.string() }).optional() }).optional(),
});
const kinds: readonly PlanWeights[] = ["float32", "int8", "sparse", "sparse-int8"];

/** What `cloze compile` chose for a model, as its config.json says. */
export function chosenWeights({ source }: Pick<Model, "source">): PlanWeights | undefined {
  const chosen = compiledSchema.safeParse(source ?? {}).data?.cloze?.compiled?.weights;
  return kinds.find((kind) => kind === chosen);
}

function checkThreads(threads: number | undefined): void {
  if (threads === undefined || (Number.isInteger(threads) && threads >= 1)) return;
  throw new ClozeError("OPTION_INVALID", "A plan runs on a whole number of threads", {
    expected: "at least 1",
    received: String(threads),
  });
}

/**
 * Compiles a model, or an encoder alone. Matrices are copied into the order of the kernels, so compile again after training
 * on; tables of embeddings are shared. A model with a part that plans do not know runs through the engine, and says why;
 * so do batches that the plan does not take (global tokens, padding that looks, longer sequences than positions).
 *
 * @throws HEAD_MISMATCH, OPTION_INVALID
 * @example
 * const plan = await compile(model, { weights: "int8", threads: 2, outputs: "pooled" });
 * const vectors = await plan.run(packSequences([{ ids: [101, 7592, 102] }])); // [sequences, hidden]
 * plan.close();
 */
export function compile(compiled: Model | Encoder, options: CompileOptions = {}): CompiledModel {
  const { outputs = "hidden", pooling = "mean", threads } = options;
  checkThreads(threads);
  const encoder = isModel(compiled) ? compiled.encoder : compiled;
  const weights = options.weights ?? (isModel(compiled) ? chosenWeights(compiled) : undefined) ?? "float32";
  if (outputs === "logits") headOf(compiled);
  const builder = createPlanBuilder({ weights, threads });
  const conditions: PlanCondition[] = [];
  let plan: BatchPlan | undefined;
  let reason: string | undefined;
  let shape: Pick<CompiledModel, "width" | "per"> = {
    width: encoder.config.hiddenSize,
    per: outputs === "pooled" ? "sequence" : "token",
  };
  const write = (): PlanValue => {
    const hidden = encoder.plan(builder, conditions);
    if (outputs === "hidden") return hidden;
    return outputs === "pooled" ? planPooling(hidden, pooling, builder) : headOf(compiled).plan(hidden, builder);
  };
  try {
    const value = scope(() => noGrad(write));
    plan = builder.build(value);
    shape = { width: value.width, per: value.per };
  } catch (error) {
    builder.discard();
    if (!(error instanceof ClozeError && error.code === "PLAN_UNSUPPORTED")) throw error;
    reason = error.message;
  }
  const engine = throughEngine(compiled, options);
  const prepare = (batch: EncoderBatch) => {
    checkRows(batch, shape.per);
    return encoder.planBatch(batch);
  };
  const { maxPositions } = encoder.config;
  const takes = (batch: EncoderBatch, { longest, valueWidth }: BatchPlan): boolean => {
    // Padding that looks and is not seen: rare enough to leave to the engine, which also says what is wrong with pixels.
    if (batch.visible !== undefined || (batch.values !== undefined) !== valueWidth > 0) return false;
    // Tables of angles end where the model's positions do; the engine computes any.
    if (!batch.positions.every((place) => place >= 0 && place < maxPositions)) return false;
    if (batch.offsets.some((end, s) => s > 0 && end - batch.offsets[s - 1] > longest)) return false;
    const globalTokens =
      batch.globalTokens ?? (outputs === "logits" && isModel(compiled) ? compiled.head.globalTokens(batch) : undefined);
    const seen = globalTokens === undefined ? batch : { ...batch, globalTokens };
    return conditions.every((condition) => condition(seen));
  };
  let closed = false;
  const planFor = (batch: EncoderBatch): BatchPlan | undefined => {
    if (closed) throw new ClozeError("PLAN_CLOSED", "This plan was closed", { remedy: "Compile the model again." });
    checkOffsets(batch);
    return plan !== undefined && takes(batch, plan) ? plan : undefined;
  };
  return {
    ...shape,
    planned: plan !== undefined,
    reason,
    weights,
    async run(batch, { threads: most } = {}) {
      const found = planFor(batch);
      return found === undefined ? engine(batch) : found.runAsync(prepare(batch), most);
    },
    runSync(batch) {
      const found = planFor(batch);
      return found === undefined ? engine(batch) : found.run(prepare(batch));
    },
    takes: (batch) => planFor(batch) !== undefined,
    bytes: (sizes) => plan?.bytes(sizes) ?? 0,
    close() {
      closed = true;
      plan?.close();
    },
  };
}
