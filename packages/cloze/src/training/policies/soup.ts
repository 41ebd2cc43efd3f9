// Model soups (arXiv 2203.05482): the mean of the weights of models that were fine-tuned from the same one.
import { copyInto, copyOf, mixInPlace, type Tensor } from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/index.js";

function checkAlike(models: readonly Model[]): void {
  const describe = (model: Model): string =>
    [...model.parameters].map(([name, { shape }]) => `${name}[${shape.join()}]`).join(" ");
  const [first] = models;
  const other = models.findIndex((model) => describe(model) !== describe(first));
  if (models.length > 0 && other < 0) return;
  throw new ClozeError("SOUP_MISMATCH", "A soup is made of models with the same parameters", {
    expected: "at least one model, all fine-tuned from the same one for the same task",
    received: models.length === 0 ? "none" : `model ${other + 1} is another one than model 1`,
  });
}

/** pot = (1 - share) pot + share other, for every parameter. */
function stir(pot: Model, other: Model, share: number): void {
  for (const [name, value] of pot.parameters) mixInPlace(value, other.parameters.get(name) as Tensor, share);
}

/**
 * Writes the mean of the models' weights into the first one.
 *
 * @throws SOUP_MISMATCH
 * @example
 * saveModel(uniformSoup(seeds.map((folder) => loadModel(folder))), "soup");
 */
export function uniformSoup(models: readonly Model[]): Model {
  checkAlike(models);
  const [pot, ...others] = models;
  others.forEach((other, i) => {
    stir(pot, other, 1 / (i + 2));
  });
  return pot;
}

export interface GreedySoup {
  /** The best model alone, with those that made it better stirred in. */
  readonly model: Model;
  /** Places of the models that are in it, the best one first. */
  readonly members: readonly number[];
  readonly score: number;
}

/**
 * Takes the best model and stirs in one after the other, best first, keeping each one that does not make the score worse.
 *
 * @param score of a model on held-out rows; higher is better
 * @returns the model is the best one of those given, whose weights are overwritten
 * @throws SOUP_MISMATCH
 */
export async function greedySoup(
  models: readonly Model[],
  score: (model: Model) => number | Promise<number>,
): Promise<GreedySoup> {
  checkAlike(models);
  const scored: { place: number; value: number }[] = [];
  for (const [place, model] of models.entries()) scored.push({ place, value: await score(model) });
  scored.sort((a, b) => b.value - a.value);
  const [{ place: first, value }, ...rest] = scored;
  const pot = models[first];
  const members = [first];
  let best = value;
  for (const { place } of rest) {
    const before = [...pot.parameters.values()].map(copyOf);
    stir(pot, models[place], 1 / (members.length + 1));
    const reached = await score(pot);
    if (reached >= best) {
      best = reached;
      members.push(place);
    } else {
      [...pot.parameters.values()].forEach((weight, i) => {
        copyInto(weight, before[i]);
      });
    }
    for (const copy of before) copy.dispose();
  }
  return { model: pot, members, score: best };
}
