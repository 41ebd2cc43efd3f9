import { dropout } from "@cloze/tensor";
import { z } from "zod";
import { checkCount, classLabels, defineHead, dense, denseSpecs } from "./head.js";
import { rowLoss } from "./masked-language.js";
import { checkNames, classifierFields } from "./sequence-classification.js";

/** A class for each token; -100 where none is asked. */
export const tokenClassification = defineHead({
  schema: z.strictObject({ type: z.literal("token-classification"), ...classifierFields }),
  bind(config, { hiddenSize }) {
    checkNames(config);
    return {
      parameters: denseSpecs("classifier", config.labels, hiddenSize),
      forward(hidden, _, { labels }, context) {
        const dropped = context.training ? dropout(hidden, config.dropout, context.seed) : hidden;
        const logits = dense("classifier", dropped, context);
        if (labels === undefined) return { logits };
        checkCount("Labels of tokens", labels, hidden.shape[0]);
        return { logits, loss: rowLoss(logits, classLabels("Labels of tokens", labels)) };
      },
    };
  },
});
