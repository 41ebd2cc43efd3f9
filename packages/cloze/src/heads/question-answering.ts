// Where an answer starts and ends in its sequence.
import { add, exp, log, mul, reshape, segmentSum, slice, sub, sum, type Tensor, take, tensor } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../encoder/batch.js";
import { ClozeError } from "../errors.js";
import { checkCount, defineHead, dense, denseSpecs } from "./head.js";

/** log sum exp of each column over each sequence. logits: [tokens, 2] -> [sequences, 2] */
function sequenceLogSums(logits: Tensor, { offsets }: EncoderBatch): Tensor {
  // The largest value of a sequence is taken out; it is a constant for the gradient.
  const values = logits.toTypedArray();
  const sequences = offsets.length - 1;
  const largest = new Float32Array(2 * sequences).fill(Number.NEGATIVE_INFINITY);
  const shift = new Float32Array(values.length);
  for (let s = 0; s < sequences; s++) {
    for (let i = 2 * offsets[s]; i < 2 * offsets[s + 1]; i++) {
      const at = 2 * s + (i % 2);
      if (values[i] > largest[at]) largest[at] = values[i];
    }
    for (let i = 2 * offsets[s]; i < 2 * offsets[s + 1]; i++) shift[i] = largest[2 * s + (i % 2)];
  }
  const sums = segmentSum(exp(sub(logits, tensor(shift, logits.shape))), tensor(offsets));
  return add(log(sums), tensor(largest, [sequences, 2]));
}

/** Mean over the counted starts, and over the counted ends, averaged. */
function spanLoss(logits: Tensor, batch: EncoderBatch, starts: Int32Array, ends: Int32Array): Tensor {
  const { offsets } = batch;
  const chosen: number[] = [];
  const totals: number[] = [];
  const weights: number[] = [];
  [starts, ends].forEach((places, column) => {
    const counted = Array.from(places.keys()).filter((s) => places[s] >= 0 && places[s] < offsets[s + 1] - offsets[s]);
    for (const s of counted) {
      chosen.push(2 * (offsets[s] + places[s]) + column);
      totals.push(2 * s + column);
      weights.push(0.5 / counted.length);
    }
  });
  const pick = (x: Tensor, at: number[]) => take(reshape(x, [x.size]), tensor(Int32Array.from(at)));
  const losses = sub(pick(sequenceLogSums(logits, batch), totals), pick(logits, chosen));
  return sum(mul(losses, tensor(Float32Array.from(weights))));
}

/**
 * Extractive question answering: logits over the tokens of each sequence for the start and the end of the answer. Labels
 * are `starts` and `ends`, counted from the start of each sequence.
 */
export const questionAnswering = defineHead({
  schema: z.strictObject({ type: z.literal("question-answering") }),
  bind: (_, { hiddenSize }) => ({
    parameters: denseSpecs("span", 2, hiddenSize),
    forward(hidden, batch, { starts, ends }, context) {
      const logits = dense("span", hidden, context); // [tokens, 2]
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
