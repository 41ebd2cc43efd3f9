// Where an answer starts and ends in its sequence.
import {
  concat,
  dropout,
  logSoftmax,
  mul,
  reshape,
  slice,
  sum,
  type Tensor,
  take,
  tensor,
  transpose,
} from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../encoder/batch.js";
import { ClozeError } from "../errors.js";
import { checkCount, defineHead, dense, denseSpecs } from "./head.js";
import { applyTransform, transformSchema, transformSpecs } from "./head-transform.js";

/** Mean over the counted starts, and over the counted ends, averaged. logits: [tokens, 2] */
function spanLoss(logits: Tensor, { offsets }: EncoderBatch, starts: Int32Array, ends: Int32Array): Tensor {
  const places = [starts, ends];
  const counts = (s: number, column: number): boolean =>
    places[column][s] >= 0 && places[column][s] < offsets[s + 1] - offsets[s];
  const totals = [0, 1].map((column) => starts.reduce((total, _, s) => total + Number(counts(s, column)), 0));
  const chosen: Tensor[] = [];
  const weights: number[] = [];
  for (let s = 0; s + 1 < offsets.length; s++) {
    const columns = [0, 1].filter((column) => counts(s, column));
    if (columns.length === 0) continue;
    const length = offsets[s + 1] - offsets[s];
    const rows = transpose(slice(logits, [{ start: offsets[s], end: offsets[s + 1] }])); // [2, length]
    const at = Int32Array.from(columns, (column) => column * length + places[column][s]);
    chosen.push(take(reshape(logSoftmax(rows), [2 * length]), tensor(at)));
    weights.push(...columns.map((column) => -0.5 / totals[column]));
  }
  if (chosen.length === 0) return mul(sum(logits), 0);
  return sum(mul(concat(chosen, 0), tensor(Float32Array.from(weights))));
}

/**
 * Extractive question answering: logits over the tokens of each sequence for the start and the end of the answer. Labels
 * are `starts` and `ends`, counted from the start of each sequence.
 */
export const questionAnswering = defineHead({
  schema: z.strictObject({
    type: z.literal("question-answering"),
    transform: transformSchema.default(null),
    /** Before the two scores. */
    dropout: z.number().min(0).lt(1).default(0),
  }),
  bind: (config, encoder) => ({
    parameters: [
      ...transformSpecs("transform", config.transform, encoder, encoder.hiddenSize),
      ...denseSpecs("span", 2, encoder.hiddenSize),
    ],
    forward(hidden, batch, { starts, ends }, context) {
      const transformed = applyTransform("transform", hidden, config.transform, encoder, context);
      const dropped = context.training ? dropout(transformed, config.dropout, context.seed) : transformed;
      const logits = dense("span", dropped, context); // [tokens, 2]
      const column = (i: number) => reshape(slice(logits, [{}, { start: i, end: i + 1 }]), [hidden.shape[0]]);
      const output = { startLogits: column(0), endLogits: column(1) };
      if (starts === undefined && ends === undefined) return output;
      if (starts === undefined || ends === undefined) {
        throw new ClozeError("LABELS_SHAPE", "An answer has a start and an end", {
          received: starts === undefined ? "ends only" : "starts only",
        });
      }
      checkCount("Starts of answers", starts, batch.offsets.length - 1);
      checkCount("Ends of answers", ends, batch.offsets.length - 1);
      return { ...output, loss: spanLoss(logits, batch, starts, ends) };
    },
  }),
});
