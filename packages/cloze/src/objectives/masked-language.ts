// Masked language modelling (BERT, arXiv 1810.04805): hide tokens, predict what stood there.
import { z } from "zod";
import { encoderFlops } from "../encoder/flops.js";
import { headFlops } from "./head-flops.js";
import { type MaskedBatch, maskTokens } from "./masking.js";
import { defineObjective, lossOf, nothingBeside } from "./objective.js";
import { replacementFields, replacementOf } from "./replacements.js";

export const shareSchema = z.number().min(0).max(1);

/** What is chosen; see `maskTokens`. */
export const choiceFields = {
  rate: z.number().gt(0).lt(1).default(0.15).describe("share of the tokens that are chosen (0.15)"),
  unit: z
    .enum(["token", "whole-word", "span"])
    .default("token")
    .describe("what is chosen together: token, whole-word or span"),
  meanSpan: z.number().min(1).default(3.8).describe("mean length of a span, in words (3.8)"),
  maximumSpan: z.int().min(1).default(10).describe("longest span, in words (10)"),
};

const schema = z.strictObject({
  type: z.literal("masked-language"),
  ...choiceFields,
  maskShare: shareSchema.default(0.8).describe("of the chosen tokens, the share that becomes [MASK] (0.8)"),
  randomShare: shareSchema.default(0.1).describe("the share that becomes a random token (0.1); the rest stays"),
  ...replacementFields,
});

/**
 * Hide tokens, predict what stood there. The whole model is kept. As "slm" (swapped language modelling, arXiv 2309.08272)
 * chosen tokens become random ones, and there is no [MASK].
 */
export const maskedLanguage = defineObjective({
  schema,
  description: "predict masked tokens (BERT, arXiv 1810.04805)",
  aliases: { mlm: {}, slm: { maskShare: 0, randomShare: 1 } },
  input: "sequences",
  architecture: "ForMaskedLM",
  heads: ["masked-language", "pretraining"],
  create: (config, frame) => {
    const { model, vocabulary } = frame;
    const options = { ...config, replacement: replacementOf(config, frame) };
    return {
      ...nothingBeside,
      prepare: (batch, random): MaskedBatch => maskTokens(batch, vocabulary, random, options),
      loss: ({ batch, rows, targets }, { seed, recompute, training = true }) =>
        lossOf(model.forward(batch, { rows, targets, lossOnly: true, training, seed, recompute })),
      tokens: ({ batch }) => batch.ids.length,
      flops: ({ batch, rows }) =>
        3 * (encoderFlops(model.encoder.config, batch.offsets) + headFlops(model, rows.length)),
    };
  },
});
