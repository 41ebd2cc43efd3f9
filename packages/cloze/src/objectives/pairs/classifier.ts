import { linear, type Tensor } from "@cloze/tensor";
import type { EncoderConfig } from "../../encoder/config.js";
import { matrixSize } from "../../encoder/flops.js";
import { createParameters, lookUp, prefixed } from "../../encoder/parameters.js";
import { deriveSeed } from "../../encoder/seeds.js";
import { denseSpecs } from "../../heads/head.js";

/** A classifier of vectors beside a model: dense, tanh, dense; dropped with the objective. Names begin with `prefix`. */
export function createClassifier(
  prefix: string,
  classes: number,
  { hiddenSize, initializerRange }: EncoderConfig,
  seed: number,
) {
  const specs = prefixed(`${prefix}.classifier`, [
    ...denseSpecs("transform", hiddenSize, hiddenSize),
    ...denseSpecs("output", classes, hiddenSize),
  ]);
  const parameters = createParameters(specs, { seed: deriveSeed(seed, prefix, "classifier") }, initializerRange);
  const named = (name: string): Tensor => lookUp(parameters, `${prefix}.classifier.${name}`);
  return {
    parameters,
    /** x: [rows, hidden] -> [rows, classes] */
    logits: (x: Tensor): Tensor =>
      linear(
        linear(x, named("transform.weight"), named("transform.bias"), { activation: "tanh" }),
        named("output.weight"),
        named("output.bias"),
      ),
    /** Of a forward pass. */
    flops: (rows: number): number => 2 * rows * matrixSize(specs),
    dispose() {
      for (const parameter of parameters.values()) parameter.dispose();
    },
  };
}
