import { binaryCrossEntropy, reshape, take, tensor } from "@cloze/tensor";
import { z } from "zod";
import { activationSchema } from "../encoder/activation.js";
import { checkCount, classLabels, defineHead, dense, denseSpecs, planDense } from "./head.js";

/**
 * Replaced-token detection (ELECTRA, arXiv 2003.10555): one logit for each token, above 0 where it looks replaced. Labels:
 * 1 replaced, 0 original, -100 not counted. Padding that is not seen does not count.
 */
export const replacedToken = defineHead({
  schema: z.strictObject({ type: z.literal("replaced-token"), activation: activationSchema.default("gelu") }),
  bind: ({ activation }, { hiddenSize }) => ({
    parameters: [...denseSpecs("transform", hiddenSize, hiddenSize), ...denseSpecs("detector", 1, hiddenSize)],
    forward(hidden, { visible, offsets }, { labels }, context) {
      const logits = reshape(dense("detector", dense("transform", hidden, context, { activation }), context), [
        hidden.shape[0],
      ]);
      if (labels === undefined) return { logits };
      checkCount("Labels of tokens", labels, hidden.shape[0]);
      const classes = classLabels("Labels of tokens", labels);
      const counts = new Uint8Array(classes.length);
      for (let s = 0; s + 1 < offsets.length; s++) {
        counts.fill(1, offsets[s], visible === undefined ? offsets[s + 1] : offsets[s] + visible[s]);
      }
      const rows = Int32Array.from(classes.keys()).filter((row) => classes[row] !== -100 && counts[row] === 1);
      const targets = tensor(Float32Array.from(rows, (row) => classes[row]));
      return { logits, loss: binaryCrossEntropy(take(logits, tensor(rows)), targets) };
    },
    plan: (hidden, parameter, builder) =>
      planDense("detector", planDense("transform", hidden, parameter, builder, { activation }), parameter, builder),
    fromPlan: (values) => ({ logits: reshape(values, [values.shape[0]]) }),
  }),
});
