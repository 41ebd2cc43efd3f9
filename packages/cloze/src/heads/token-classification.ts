import { z } from "zod";
import { checkNames, classifierFields, classifierSpecs, classify, classLoss, planClassifier } from "./classifier.js";
import { defineHead } from "./head.js";
import { applyTransform, planTransform, transformSchema, transformSpecs } from "./head-transform.js";

/** A class for each token; -100 where none is asked. */
export const tokenClassification = defineHead({
  schema: z.strictObject({
    type: z.literal("token-classification"),
    ...classifierFields,
    transform: transformSchema.default(null),
  }),
  bind(config, encoder) {
    checkNames(config);
    const { hiddenSize } = encoder;
    return {
      parameters: [
        ...transformSpecs("transform", config.transform, encoder, hiddenSize),
        ...classifierSpecs(config, hiddenSize),
      ],
      forward(hidden, _, { labels, classWeights }, context) {
        const transformed = applyTransform("transform", hidden, config.transform, encoder, context);
        const logits = classify(transformed, config, context);
        if (labels === undefined) return { logits };
        return { logits, loss: classLoss(logits, "Labels of tokens", labels, classWeights) };
      },
      plan(hidden, parameter, builder) {
        const transformed = planTransform("transform", hidden, config.transform, encoder, parameter, builder);
        return planClassifier(transformed, config, parameter, builder);
      },
    };
  },
});
