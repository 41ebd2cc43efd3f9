// How many tokens of inputs that were not trained on are put where they stood, by how many of them are looked at.
import { argmax, noGrad, scope } from "@cloze/tensor";
import type { InputSource } from "../data/input-source.js";
import { randomSource } from "../data/random-source.js";
import type { Model } from "../families/index.js";
import type { Objective } from "../objectives/index.js";
import { drawContext, type PositionBatch, positionLogits } from "../objectives/position-prediction.js";

/**
 * The share of tokens whose place the model says, with contexts of `size` tokens.
 *
 * @param objective "position-prediction", as `inspect` gets it
 */
export function positionAccuracy(
  { prepare, parameters }: Objective,
  model: Model,
  inputs: InputSource,
  size: number,
): number {
  if (prepare === undefined) throw new Error("the objective reads documents");
  let right = 0;
  let asked = 0;
  for (let start = 0; start < inputs.count; start += 64) {
    const indices = Array.from({ length: Math.min(64, inputs.count - start) }, (_, i) => start + i);
    const random = randomSource(0x5eed, start);
    const { batch, rows, targets } = prepare(inputs.pack(indices), random) as PositionBatch;
    const context = drawContext(batch, rows, () => size, random);
    const logits = () => positionLogits(model, parameters, { batch: { ...batch, context }, rows, targets });
    const found = scope(() => noGrad(() => argmax(logits()).toTypedArray()));
    targets.forEach((target, i) => {
      if (found[i] === target) right++;
    });
    asked += targets.length;
  }
  return right / asked;
}
