import { abs, concat, crossEntropy, linear, mul, parameter, randomUniform, sub, tensor } from "@cloze/tensor";
import { z } from "zod";
import { deriveSeed } from "../../encoder/seeds.js";
import { ClozeError } from "../../errors.js";
import { defineLoss } from "./loss.js";

/**
 * The classifier of Sentence-BERT (arXiv 1908.10084): cross-entropy of W [u; v; |u - v|] + b. The classifier is thrown away
 * after training.
 *
 * Rows: (premise, hypothesis, class). With entailed and contradicted hypotheses of the same premise at hand,
 * `multiple-negatives` on (premise, entailed, contradicted) usually does better.
 */
export const softmaxClassifier = defineLoss({
  type: "softmax",
  aliases: ["nli"],
  description: "a classifier on [u; v; |u - v|] tells the class of a pair",
  rows: "class-pair",
  search: false,
  options: z.strictObject({
    product: z.boolean().default(false).describe("the classifier sees u * v too"),
    bias: z.boolean().default(true).describe("the classifier has a bias"),
  }),
  create({ product, bias }, { width, classes, seed }) {
    if (classes === undefined || classes < 2) {
      throw new ClozeError("LABELS_ONE_CLASS", "The classifier needs at least two classes", {
        received: String(classes ?? 0),
      });
    }
    const inputs = width * (product ? 4 : 3);
    const bound = 1 / Math.sqrt(inputs);
    const make = (name: string, shape: readonly number[]) =>
      parameter(randomUniform(shape, { low: -bound, high: bound, seed: deriveSeed(seed, "softmax", name) }));
    const parameters = new Map([["classifier.weight", make("weight", [classes, inputs])]]);
    if (bias) parameters.set("classifier.bias", make("bias", [classes]));
    return {
      scaleInvariant: false,
      parameters,
      forward({ columns: [u, v], labels }) {
        const features = [u, v, abs(sub(u, v)), ...(product ? [mul(u, v)] : [])];
        const weight = parameters.get("classifier.weight");
        const logits = linear(concat(features, 1), weight as typeof u, parameters.get("classifier.bias")); // [rows, classes]
        return crossEntropy(logits, tensor(Int32Array.from(labels as Float32Array)));
      },
    };
  },
});
