import { type Tensor, take, tensor } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../encoder/batch.js";
import { checkCount, classLabels, defineHead } from "./head.js";
import {
  languageFields,
  languageLogits,
  languageSpecs,
  planLanguageLogits,
  predictTokens,
  rowLoss,
} from "./masked-language.js";

/** Rows that have a next token in their sequence, and the label of that token. */
function nextTokens({ offsets }: EncoderBatch, labels: Int32Array): { rows: Int32Array; targets: Int32Array } {
  const rows: number[] = [];
  for (let s = 0; s + 1 < offsets.length; s++) {
    for (let row = offsets[s]; row + 1 < offsets[s + 1]; row++) if (labels[row + 1] !== -100) rows.push(row);
  }
  return { rows: Int32Array.from(rows), targets: Int32Array.from(rows, (row) => labels[row + 1]) };
}

/**
 * Causal language modelling: each token predicts the one after it; labels are the ids themselves. Attention is causal where
 * the encoder's mixers are.
 */
export const causalLanguage = defineHead({
  schema: z.strictObject({ type: z.literal("causal-language"), ...languageFields }),
  bind(config, encoder) {
    return {
      parameters: languageSpecs(config, encoder),
      forward(hidden, batch, given, context) {
        const { labels, rows, lossOnly = false, rowLoss: lossOfRows } = given;
        if (rows !== undefined) return predictTokens(hidden, given, config, encoder, context);
        if (labels !== undefined && lossOnly) {
          checkCount("Labels of tokens", labels, hidden.shape[0]);
          const next = nextTokens(batch, classLabels("Labels of tokens", labels));
          return predictTokens(hidden, { ...next, lossOnly, rowLoss: lossOfRows }, config, encoder, context);
        }
        const logits = languageLogits(hidden, config, encoder, context);
        if (labels === undefined) return { logits };
        checkCount("Labels of tokens", labels, hidden.shape[0]);
        const next = nextTokens(batch, classLabels("Labels of tokens", labels));
        return { logits, loss: rowLoss(take(logits, tensor(next.rows)), next.targets) };
      },
      maskedLanguageLoss: (hidden, rows, targets, context) =>
        predictTokens(hidden, { rows, targets, lossOnly: true }, config, encoder, context).loss as Tensor,
      plan: (hidden, parameter, builder, wordTable) =>
        planLanguageLogits(hidden, config, encoder, parameter, builder, wordTable),
    };
  },
});
