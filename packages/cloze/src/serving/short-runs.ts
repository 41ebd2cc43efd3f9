// One short text, and nobody else there: run where it is, since waking another thread and being woken takes longer than it may.
import type { EncoderBatch } from "../encoder/batch.js";
import type { CompiledModel } from "../inference/compile.js";

/** Milliseconds for which this thread may be busy. */
const most = 4;

/** A model that is run for whoever asks. */
export interface ServedPlan extends Omit<CompiledModel, "run"> {
  /** @param options.alone nobody else waits for this thread */
  run(batch: EncoderBatch, options?: { alone?: boolean }): Promise<Float32Array>;
}

/**
 * The same model, which runs a batch at once where it is alone and was as quick before as this thread may be busy. A model
 * that is new, large or on a busy machine always goes to another thread.
 *
 * @param clock milliseconds; for tests
 */
export function shortRunsAtOnce(compiled: CompiledModel, clock = (): number => performance.now()): ServedPlan {
  if (!compiled.planned) return { ...compiled, run: (batch) => compiled.run(batch) };
  /** The last batch that was alone. The first one is slower than others, and says little. */
  let last = { tokens: 1, milliseconds: Number.POSITIVE_INFINITY };
  return {
    ...compiled,
    async run(batch, { alone = false } = {}) {
      if (!alone) return compiled.run(batch);
      const tokens = batch.ids.length;
      const expected = last.milliseconds * Math.max(1, tokens / last.tokens);
      const start = clock();
      const values = expected <= most ? compiled.runSync(batch) : await compiled.run(batch);
      last = { tokens: Math.max(1, tokens), milliseconds: clock() - start };
      return values;
    },
  };
}
