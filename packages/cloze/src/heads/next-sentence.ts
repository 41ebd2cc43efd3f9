import type { Tensor } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../encoder/batch.js";
import { checkCount, defineHead, dense, denseSpecs, type HeadContext } from "./head.js";
import { rowLoss } from "./masked-language.js";
import { pool, poolerSpecs } from "./pooler.js";

/** The parameters of `predictNextSentence`. */
export const nextSentenceSpecs = (hiddenSize: number) => [
  ...poolerSpecs(hiddenSize),
  ...denseSpecs("nextSentence", 2, hiddenSize),
];

/** Whether the second text follows the first: [sequences, 2], 0 for "it does". */
export function predictNextSentence(
  hidden: Tensor,
  batch: EncoderBatch,
  labels: Int32Array | undefined,
  context: HeadContext,
): { logits: Tensor; loss?: Tensor } {
  const logits = dense("nextSentence", pool(hidden, batch, context), context);
  if (labels === undefined) return { logits };
  checkCount("Labels of sequences", labels, logits.shape[0]);
  return { logits, loss: rowLoss(logits, labels) };
}

/** Next sentence prediction (arXiv 1810.04805); its label is `nextSentence`. */
export const nextSentence = defineHead({
  schema: z.strictObject({ type: z.literal("next-sentence") }),
  bind: (_, { hiddenSize }) => ({
    parameters: nextSentenceSpecs(hiddenSize),
    forward(hidden, batch, labels, context) {
      const { logits, loss } = predictNextSentence(hidden, batch, labels.nextSentence, context);
      return { logits, nextSentenceLogits: logits, ...(loss === undefined ? {} : { loss }) };
    },
  }),
});
