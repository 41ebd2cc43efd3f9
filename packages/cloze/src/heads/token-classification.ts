import { z } from "zod";
import { unexported } from "../encoder/onnx.js";
import { checkNames, classifierFields, classifierSpecs, classify, classLoss, planClassifier } from "./classifier.js";
import { crfSpecs, packedCrfLoss, rulesOf } from "./crf.js";
import { defineHead } from "./head.js";
import { onnxDense, onnxTransform } from "./head-onnx.js";
import { applyTransform, planTransform, transformSchema, transformSpecs } from "./head-transform.js";

/**
 * A class for each token; -100 where none is asked. With a conditional random field, classes of neighbours depend on each
 * other: logits are then emissions, to be decoded by `viterbi`.
 */
export const tokenClassification = defineHead({
  schema: z.strictObject({
    type: z.literal("token-classification"),
    ...classifierFields,
    transform: transformSchema.default(null),
    /** A linear-chain conditional random field over the tokens that are asked. */
    crf: z.boolean().default(false),
  }),
  bind(config, encoder) {
    checkNames(config);
    const { hiddenSize } = encoder;
    return {
      parameters: [
        ...transformSpecs("transform", config.transform, encoder, hiddenSize),
        ...classifierSpecs(config, hiddenSize),
        ...(config.crf ? crfSpecs(config.labels) : []),
      ],
      forward(hidden, batch, { labels, classWeights }, context) {
        const transformed = applyTransform("transform", hidden, config.transform, encoder, context);
        const logits = classify(transformed, config, context);
        if (config.crf) {
          const transitions = rulesOf(context);
          if (labels === undefined) return { logits, transitions };
          return { logits, transitions, loss: packedCrfLoss(logits, transitions, batch.offsets, labels, classWeights) };
        }
        if (labels === undefined) return { logits };
        return { logits, loss: classLoss(logits, "Labels of tokens", labels, classWeights) };
      },
      plan(hidden, parameter, builder) {
        const transformed = planTransform("transform", hidden, config.transform, encoder, parameter, builder);
        return planClassifier(transformed, config, parameter, builder);
      },
      fromPlan: (logits, context) => (config.crf ? { logits, transitions: rulesOf(context) } : { logits }),
      onnx(hidden, access) {
        // Whoever read the emissions as logits would get other classes than the field's.
        if (config.crf) throw unexported("conditional random fields");
        const transformed = onnxTransform("transform", hidden, config.transform, encoder, access);
        return {
          logits: { value: onnxDense("classifier", transformed, access, config), per: "token", width: config.labels },
        };
      },
    };
  },
});
