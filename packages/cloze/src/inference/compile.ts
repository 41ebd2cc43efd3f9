// From a model to the fastest way of running it: a plan whose forward pass is one native call.
import { type BatchPlan, createPlanBuilder, noGrad, type PlanSizes, scope, type Tensor } from "@cloze/tensor";
import type { EncoderBatch } from "../encoder/batch.js";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/index.js";
import { planPooling, poolTokens } from "../heads/head.js";

export interface CompileOptions {
  /**
   * "float32" as they are, or "int8": 8-bit codes for weights (a scale for each output) and for what they are multiplied
   * with (a scale for each token, found at each run); three times as fast where the processor has VNNI. "sparse": pruned
   * matrices as the blocks that are left, where that is faster. Heads stay float32.
   */
  weights?: "float32" | "int8" | "sparse";
  /**
   * "hidden": [tokens, hidden]; "pooled": one vector for each sequence by `pooling`; "head": what the head makes of it
   * (logits of sequences or tokens; a pooler's output). Default "hidden".
   */
  output?: "hidden" | "pooled" | "head";
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
  /** What a row of the output stands for. */
  readonly per: "token" | "sequence";
  /**
   * Runs a batch on another thread, so that the event loop stays free. -> [tokens or sequences, width]
   *
   * @throws TOKEN_OUT_OF_RANGE, SEQUENCE_TOO_LONG, SEGMENT_OUT_OF_RANGE, BATCH_SHAPE, PLAN_CLOSED
   */
  run(batch: EncoderBatch): Promise<Float32Array>;
  /** The same at once. */
  runSync(batch: EncoderBatch): Float32Array;
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

/** The plain twin: the same output through the engine. */
function throughEngine(model: Model, { output = "hidden", pooling = "mean" }: CompileOptions) {
  return (batch: EncoderBatch): Float32Array =>
    scope(() =>
      noGrad(() => {
        const outputOf = (): Tensor | undefined => {
          if (output === "head") {
            const { logits, pooled } = model.forward(batch);
            return logits ?? pooled;
          }
          const { hidden } = model.encoder.forward(batch);
          return output === "hidden" ? hidden : poolTokens(hidden, batch, pooling);
        };
        const value = outputOf();
        if (value === undefined) throw headMismatch(model);
        return value.toTypedArray() as Float32Array;
      }),
    );
}

const headMismatch = (model: Model): ClozeError =>
  new ClozeError("HEAD_MISMATCH", "This model's head gives no single output", {
    received: model.head.config.type,
    remedy: 'Compile it with output "hidden" or "pooled".',
  });

/**
 * Compiles a model. Matrices are copied into the order of the kernels, so compile again after training on; tables of
 * embeddings are shared. A model with a part that plans do not know runs through the engine, and says why.
 *
 * @throws HEAD_MISMATCH
 * @example
 * const compiled = compile(model, { weights: "int8", output: "pooled" });
 * const vectors = await compiled.run(packSequences([{ ids: [101, 7592, 102] }])); // [sequences, hidden]
 * compiled.close();
 */
export function compile(model: Model, options: CompileOptions = {}): CompiledModel {
  const { weights = "float32", output = "hidden", pooling = "mean" } = options;
  const builder = createPlanBuilder({ weights });
  let plan: BatchPlan | undefined;
  let reason: string | undefined;
  let shape: Pick<CompiledModel, "width" | "per"> = {
    width: model.config.hiddenSize,
    per: output === "pooled" ? "sequence" : "token",
  };
  try {
    const hidden = model.encoder.plan(builder);
    const value =
      output === "hidden"
        ? hidden
        : output === "pooled"
          ? planPooling(hidden, pooling, builder)
          : model.head.plan(hidden, builder);
    plan = builder.build(value);
    shape = { width: value.width, per: value.per };
  } catch (error) {
    builder.discard();
    if (!(error instanceof ClozeError && error.code === "PLAN_UNSUPPORTED")) throw error;
    reason = error.message;
  }
  const engine = throughEngine(model, options);
  const prepare = (batch: EncoderBatch) => {
    checkOffsets(batch);
    checkRows(batch, shape.per);
    return model.encoder.planBatch(batch);
  };
  // Padding that looks and is not seen, pixels, global tokens: rare enough to leave to the engine.
  const plain = (batch: EncoderBatch): boolean =>
    batch.visible === undefined &&
    batch.values === undefined &&
    batch.globalTokens === undefined &&
    // Tables of angles end where the model's positions do; the engine computes any.
    batch.positions.every((place) => place < model.config.maxPositions);
  const planFor = (batch: EncoderBatch): BatchPlan | undefined => (plain(batch) ? plan : undefined);
  return {
    ...shape,
    planned: plan !== undefined,
    reason,
    async run(batch) {
      const found = planFor(batch);
      return found === undefined ? engine(batch) : found.runAsync(prepare(batch));
    },
    runSync(batch) {
      const found = planFor(batch);
      return found === undefined ? engine(batch) : found.run(prepare(batch));
    },
    bytes: (sizes) => plan?.bytes(sizes) ?? 0,
    close() {
      plan?.close();
    },
  };
}
