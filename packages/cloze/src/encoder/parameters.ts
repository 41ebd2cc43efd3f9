// From the description of parameters to the parameters: new ones by a seed, or loaded ones.
import {
  copyOf,
  createRandom,
  ones,
  parameter,
  randomNormal,
  type Shape,
  sameShape,
  type Tensor,
  zeros,
} from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import type { Initial, ParameterSpec } from "./part.js";

/**
 * Where parameters come from: numbers drawn by a seed, or tensors by name (which the caller hands over). Where `load` gives
 * undefined, the parameter is made anew by the seed beside it (default 1).
 */
export type ParameterSource =
  | { readonly seed: number }
  | { readonly seed?: number; load(name: string): Tensor | undefined };

function initialValue(initial: Initial, name: string, shape: Shape, seed: number, std: number): Tensor {
  if (initial === "zeros") return zeros(shape);
  if (initial === "ones") return ones(shape);
  // Each parameter has its own stream, so that a part added elsewhere changes nothing here.
  const random = createRandom(seed).fork(name);
  return initial === "normal" ? randomNormal(shape, { seed: random, std }) : initial(shape, random);
}

function checked(value: Tensor, { name, shape }: ParameterSpec): Tensor {
  if (!sameShape(value.shape, shape) || value.dtype !== "float32") {
    const received = `${value.dtype} [${value.shape.join(", ")}]`;
    value.dispose();
    throw new ClozeError("WEIGHT_SHAPE", `The weight ${name} does not fit the configuration`, {
      expected: `float32 [${shape.join(", ")}]`,
      received,
      remedy: "Check that the weights and the configuration belong together.",
    });
  }
  return value;
}

/**
 * Makes the parameters of a module, in their order. When one fails, those made before it are freed.
 *
 * @param initializerRange deviation of those whose initial value is "normal"
 * @throws WEIGHT_SHAPE, and what the source throws
 */
export function createParameters(
  specs: readonly ParameterSpec[],
  source: ParameterSource,
  initializerRange: number,
): Map<string, Tensor> {
  const parameters = new Map<string, Tensor>();
  try {
    for (const spec of specs) {
      const { name, shape, initial, sparseRows } = spec;
      const found = "load" in source ? source.load(name) : undefined;
      const value =
        found === undefined
          ? initialValue(initial, name, shape, source.seed ?? 1, initializerRange)
          : checked(found, spec);
      parameters.set(name, parameter(value, { sparseRows }));
    }
  } catch (error) {
    for (const made of parameters.values()) made.dispose();
    throw error;
  }
  return parameters;
}

/**
 * A `load` that gives copies of what is there, so that the new module has parameters of its own.
 *
 * @param prefix stands before the names there: "encoder."
 */
export const copiesOf =
  (parameters: ReadonlyMap<string, Tensor>, prefix = "") =>
  (name: string): Tensor | undefined => {
    const found = parameters.get(`${prefix}${name}`);
    return found === undefined ? undefined : copyOf(found);
  };

/** Puts a prefix before the names of specs. */
export const prefixed = (prefix: string, specs: readonly ParameterSpec[]): ParameterSpec[] =>
  specs.map((spec) => ({ ...spec, name: `${prefix}.${spec.name}` }));

/** The parameter of that name, or an error that says what there is. */
export function lookUp(parameters: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const found = parameters.get(name);
  if (found !== undefined) return found;
  throw new ClozeError("PARAMETER_UNKNOWN", `There is no parameter ${name}`, {
    received: `${parameters.size} others`,
    remedy: "Names are listed by parameters.keys().",
  });
}
