import { dropout, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../encoder/batch.js";
import type { EncoderConfig } from "../encoder/config.js";
import { checkCount, defineHead, dense, denseSpecs, type HeadContext, planDense } from "./head.js";
import { rowLoss } from "./masked-language.js";
import { type PoolerConfig, planPooler, pool, pooledSize, poolerFields, poolerSpecs } from "./pooler.js";

/** What heads that predict the order of two texts share. */
export const nextSentenceFields = {
  ...poolerFields,
  /** Before the classifier. */
  nextSentenceDropout: z.number().min(0).lt(1).default(0),
};
type NextSentenceConfig = PoolerConfig & { readonly nextSentenceDropout: number };

/** The parameters of `predictNextSentence`. */
export const nextSentenceSpecs = (config: PoolerConfig, encoder: EncoderConfig) => [
  ...poolerSpecs(config, encoder),
  ...denseSpecs("nextSentence", 2, pooledSize(config, encoder)),
];

/** Whether the second text follows the first: [sequences, 2], 0 for "it does". */
export function predictNextSentence(
  hidden: Tensor,
  batch: EncoderBatch,
  labels: Int32Array | undefined,
  config: NextSentenceConfig,
  encoder: EncoderConfig,
  context: HeadContext,
): { logits: Tensor; loss?: Tensor } {
  const pooled = pool(hidden, batch, config, encoder, context);
  const dropped = context.training ? dropout(pooled, config.nextSentenceDropout, context.seed) : pooled;
  const logits = dense("nextSentence", dropped, context);
  if (labels === undefined) return { logits };
  checkCount("Labels of sequences", labels, logits.shape[0]);
  return { logits, loss: rowLoss(logits, labels) };
}

/** Next sentence prediction (arXiv 1810.04805); its label is `nextSentence`. */
export const nextSentence = defineHead({
  schema: z.strictObject({ type: z.literal("next-sentence"), ...nextSentenceFields }),
  bind: (config, encoder) => ({
    parameters: nextSentenceSpecs(config, encoder),
    forward(hidden, batch, labels, context) {
      const { logits, loss } = predictNextSentence(hidden, batch, labels.nextSentence, config, encoder, context);
      return { logits, nextSentenceLogits: logits, ...(loss === undefined ? {} : { loss }) };
    },
    plan: (hidden, parameter, builder) =>
      planDense("nextSentence", planPooler(hidden, config, encoder, parameter, builder), parameter, builder),
    fromPlan: (logits) => ({ logits, nextSentenceLogits: logits }),
  }),
});
