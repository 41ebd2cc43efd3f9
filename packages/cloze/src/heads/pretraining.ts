import { add, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import { defineHead } from "./head.js";
import { languageFields, languagePeaks, languageSpecs, planLanguageLogits, predictTokens } from "./masked-language.js";
import { nextSentenceFields, nextSentenceSpecs, predictNextSentence } from "./next-sentence.js";

/** BERT's pre-training: masked tokens and next sentence; the loss is the sum of those whose labels are given. */
export const pretraining = defineHead({
  schema: z.strictObject({ type: z.literal("pretraining"), ...languageFields, ...nextSentenceFields }),
  bind: (config, encoder) => ({
    parameters: [...languageSpecs(config, encoder), ...nextSentenceSpecs(config, encoder)],
    forward(hidden, batch, labels, context) {
      const tokens = predictTokens(hidden, labels, config, encoder, context);
      const next = predictNextSentence(hidden, batch, labels.nextSentence, config, encoder, context);
      const losses = [tokens.loss, next.loss].filter((loss): loss is Tensor => loss !== undefined);
      return {
        logits: tokens.logits,
        nextSentenceLogits: next.logits,
        ...(losses.length > 0 ? { loss: losses.reduce(add) } : {}),
      };
    },
    maskedLanguageLoss: (hidden, rows, targets, context) =>
      predictTokens(hidden, { rows, targets, lossOnly: true }, config, encoder, context).loss as Tensor,
    peaks: (hidden, batch, context) => languagePeaks(hidden, batch, config, encoder, context),
    plan: (hidden, parameter, builder, wordTable) =>
      planLanguageLogits(hidden, config, encoder, parameter, builder, wordTable),
  }),
});
