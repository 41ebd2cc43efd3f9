// Which parameters are trained, and how fast each of them.
import { decayGroups, type ParameterGroup, type Tensor } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/index.js";

/** A pattern of parameter names: `*` any characters, `?` one, `{a,b}` alternatives. */
function patternOf(glob: string): RegExp {
  const source = glob
    .replace(/[.+^$()|[\]\\]/g, "\\$&")
    .replace(/\{([^}]*)\}/g, (_, inner: string) => `(?:${inner.split(",").join("|")})`)
    .replace(/\*/g, ".*")
    .replace(/\?(?!:)/g, ".");
  return new RegExp(`^${source}$`);
}

/**
 * Freezes parameters by patterns of their names, such as `encoder.embeddings.*`: they keep their values, need no gradient
 * and leave the optimizer. Gives the parameters that are still trained.
 *
 * @throws FREEZE_UNMATCHED when a pattern finds nothing, FREEZE_ALL when nothing is left to train
 */
export function freezeParameters(model: Model, patterns: readonly string[]): Map<string, Tensor> {
  for (const glob of patterns) {
    const pattern = patternOf(glob);
    const found = [...model.parameters].filter(([name]) => pattern.test(name));
    if (found.length === 0) {
      throw new ClozeError("FREEZE_UNMATCHED", "A pattern to freeze finds no parameter", {
        expected: `names such as ${[...model.parameters.keys()].slice(0, 3).join(", ")}`,
        received: glob,
        remedy: "cloze info lists the names.",
      });
    }
    for (const [, parameter] of found) parameter.requireGrad(false);
  }
  const trained = new Map([...model.parameters].filter(([, parameter]) => parameter.requiresGrad));
  if (trained.size > 0) return trained;
  throw new ClozeError("FREEZE_ALL", "Everything is frozen, so there is nothing to train", {
    received: patterns.join(" "),
  });
}

/** How far a parameter is from the input: 0 for embeddings, 1 for the first layer …, layers + 1 for the head. */
function depthOf(name: string, layers: number): number {
  const layer = /^encoder\.layers\.(\d+)\./.exec(name);
  if (layer !== null) return Number(layer[1]) + 1;
  return name.startsWith("encoder.embeddings.") ? 0 : layers + 1;
}

export interface GroupOptions {
  learningRate: number;
  weightDecay: number;
  /** Each layer learns this much slower than the one above it (arXiv 1801.06146). Default 1: all alike. */
  layerDecay?: number;
}

/** Groups for an optimizer: biases and norms do not decay, lower layers learn slower. */
export function parameterGroups(
  parameters: ReadonlyMap<string, Tensor>,
  layers: number,
  { learningRate, weightDecay, layerDecay = 1 }: GroupOptions,
): ParameterGroup[] {
  if (layerDecay === 1) return decayGroups(parameters, { learningRate, weightDecay });
  return (
    Array.from({ length: layers + 2 }, (_, depth) => {
      const members = [...parameters].filter(([name]) => depthOf(name, layers) === depth);
      const rate = learningRate * layerDecay ** (layers + 1 - depth);
      return decayGroups(members, { learningRate: rate, weightDecay }).map((group) => ({
        ...group,
        name: `${group.name}.${depth}`,
      }));
    })
      .flat()
      .filter((group) => [...group.parameters].length > 0)
      // The learning rate that logs show is that of the first group: the head's.
      .reverse()
  );
}
