// A model's forward pass with the encoder as a plan and the head as it is: for whoever reads a head's outputs.
import { noGrad, scope, tensor } from "@cloze/tensor";
import type { EncoderBatch } from "../encoder/batch.js";
import type { Model, ModelOutput } from "../families/index.js";
import { type CompileOptions, compile } from "./compile.js";

export interface PlannedForward {
  /** False: the engine runs all of it, for the reason beside. */
  readonly planned: boolean;
  readonly reason?: string;
  /**
   * What `model.forward` gives without labels. Call it inside a scope: the tensors belong to it.
   *
   * @param asked the tokens for which a head of language models predicts; default all
   */
  forward(batch: EncoderBatch, asked?: { readonly rows: Int32Array }): ModelOutput;
  close(): void;
}

/**
 * Compiles the encoder of a model and puts its head behind it.
 *
 * @throws what `compile` throws
 * @example
 * const planned = plannedForward(model, { weights: "int8" });
 * for await (const { prediction } of predictRows({ ...loaded, forward: planned.forward }, rows)) console.log(prediction);
 */
export function plannedForward(model: Model, { weights }: Pick<CompileOptions, "weights"> = {}): PlannedForward {
  const compiled = compile(model, { weights });
  if (!compiled.planned) {
    compiled.close();
    return {
      planned: false,
      reason: compiled.reason,
      forward: (batch, asked) => model.forward(batch, asked),
      close() {},
    };
  }
  return {
    planned: true,
    forward: (batch, asked) =>
      scope(() =>
        noGrad(() => {
          const globalTokens = batch.globalTokens ?? model.head.globalTokens(batch);
          const seen = globalTokens === undefined ? batch : { ...batch, globalTokens };
          const hidden = tensor(compiled.runSync(batch), [batch.ids.length, compiled.width]);
          return { hidden, ...model.head.forward(hidden, seen, asked ?? {}) };
        }),
      ),
    close: compiled.close,
  };
}
