// A head alone as a plan: for rows of hidden states that are chosen after the encoder has run.
import { type BatchPlan, createPlanBuilder, noGrad, scope, zeros } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/model.js";

/** A head that reads rows. */
export interface CompiledHead {
  /** Numbers that it gives for a row. */
  readonly width: number;
  /** On another thread; one run after the other. rows: [at most `most`, hidden] -> [rows, width] */
  run(rows: Float32Array): Promise<Float32Array>;
  /** Frees the plan's copies of the weights. */
  close(): void;
}

/**
 * Compiles the head of a model that says something of each token.
 *
 * @param most rows of a run at most
 * @returns undefined where plans do not know the head: then `model.head.forward` is what there is
 */
export function compileHead({ head, config }: Model, most: number): CompiledHead | undefined {
  const { hiddenSize } = config;
  const builder = createPlanBuilder({ weights: "float32" });
  const states = scope(() => zeros([most, hiddenSize]).keep("weights"));
  const { backend } = states.storage;
  let plan: BatchPlan;
  let width: number;
  try {
    const value = scope(() => noGrad(() => head.plan(builder.take(states, builder.inputs.ids), builder)));
    if (value.per !== "token") throw new ClozeError("PLAN_UNSUPPORTED", "This head reads whole sequences");
    width = value.width;
    plan = builder.build(value);
  } catch (error) {
    builder.discard();
    states.dispose();
    if (error instanceof ClozeError && error.code === "PLAN_UNSUPPORTED") return undefined;
    throw error;
  }
  let last: Promise<unknown> = Promise.resolve();
  const runNow = (rows: Float32Array): Promise<Float32Array> => {
    const count = rows.length / hiddenSize;
    backend.write(rows, states.pointer);
    const nothing = new Int32Array(count);
    return plan.runAsync({
      ids: Int32Array.from(nothing.keys()),
      segments: nothing,
      positions: nothing,
      offsets: Int32Array.of(0, count),
    });
  };
  return {
    width,
    run(rows) {
      // There is one place for the rows.
      const result = last.then(() => runNow(rows));
      last = result.catch(() => {});
      return result;
    },
    close() {
      plan.close();
      states.dispose();
    },
  };
}
