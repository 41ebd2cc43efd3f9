import { add, crossEntropy, div, reshape, slice, type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../errors.js";
import { classifierFields, classifierSpecs, classify, planClassifier } from "./classifier.js";
import { checkCount, classLabels, defineHead } from "./head.js";
import { onnxDense } from "./head-onnx.js";
import { onnxPooler, planPooler, pool, pooledSize, poolerFields, poolerSpecs } from "./pooler.js";
import { separatorPlaces, tokensWhere } from "./separator.js";

/** Mean cross-entropy of the choice inside each group. scores: [sequences, 1] */
function choiceLoss(scores: Tensor, groups: Int32Array, labels: Int32Array | Float32Array): Tensor {
  const questions = groups.length - 1;
  checkCount("Labels of questions", labels, questions);
  checkCount("Sequences in groups", { length: groups[questions] ?? 0 }, scores.shape[0]);
  const choices = classLabels("Labels of questions", labels);
  const losses = Array.from(choices, (choice, question) => {
    const [start, end] = [groups[question], groups[question + 1]];
    if (choice < 0 || choice >= end - start) {
      throw new ClozeError("TARGET_OUT_OF_RANGE", "The right choice is none of the question's", {
        expected: `0 to ${end - start - 1}`,
        received: String(choice),
      });
    }
    return crossEntropy(reshape(slice(scores, [{ start, end }]), [1, end - start]), tensor(Int32Array.of(choice)));
  });
  return div(losses.reduce(add), questions);
}

/**
 * Multiple choice: one score for each sequence (a question with one of its choices); `groups` says which belong together,
 * labels which of them is right. logits: [sequences, 1]
 */
export const multipleChoice = defineHead({
  schema: z.strictObject({
    type: z.literal("multiple-choice"),
    dropout: classifierFields.dropout,
    bias: classifierFields.bias,
    ...poolerFields,
    /** The id of the token behind the question; what follows the two that stand between texts are global tokens. */
    separatorId: z.int().min(0).optional(),
  }),
  bind: (config, encoder) => ({
    parameters: [
      ...poolerSpecs(config, encoder),
      ...classifierSpecs({ ...config, labels: 1 }, pooledSize(config, encoder)),
    ],
    forward(hidden, batch, { labels, groups }, context) {
      const pooled = pool(hidden, batch, config, encoder, context);
      const logits = classify(pooled, config, context);
      if (labels === undefined) return { logits, pooled };
      if (groups === undefined) {
        throw new ClozeError("LABELS_SHAPE", "Labels of choices need groups", {
          remedy: "Give groups: where the sequences of each question begin and end.",
        });
      }
      return { logits, pooled, loss: choiceLoss(logits, groups, labels) };
    },
    plan(hidden, parameter, builder) {
      const pooled = planPooler(hidden, config, encoder, parameter, builder);
      return planClassifier(pooled, config, parameter, builder);
    },
    onnx(hidden, access) {
      const pooled = onnxPooler(hidden, config, encoder, access);
      return { logits: { value: onnxDense("classifier", pooled, access, config), per: "sequence", width: 1 } };
    },
    globalTokens(batch) {
      const ends = separatorPlaces(batch, config.separatorId);
      return tokensWhere(batch, (place, s) => ends[s] >= 0 && place > ends[s] + 1);
    },
  }),
});
