// What all routes that give vectors share.
import { type DenseAbility, normalized } from "../abilities/dense.js";
import { readText, type TextReading } from "../abilities/read-text.js";
import { compute, countCharacters, countDropped, type Exchange, encodeAll } from "../http/exchange.js";
import type { ServedModel } from "../served-model.js";
import { ServingError } from "../serving-error.js";
import type { Input } from "./fields.js";

/** The first numbers of a vector, scaled to length 1 where wanted (Matryoshka, arXiv 2205.13147). */
export const shaped = (vector: Float32Array, dimensions: number | undefined, normalize: boolean): Float32Array => {
  const cut = dimensions === undefined ? vector : vector.subarray(0, dimensions);
  return normalize ? normalized(cut) : cut;
};

/** Cosine of two vectors of length 1; rounding takes it no further than [-1, 1]. */
export const cosineOfUnits = (a: Float32Array, b: Float32Array): number =>
  Math.min(
    1,
    Math.max(
      -1,
      a.reduce((sum, value, i) => sum + value * b[i], 0),
    ),
  );

/** @throws ServingError "validation" when the model's vectors are shorter than that */
export function checkDimensions(dimensions: number | null | undefined, width: number): number | undefined {
  if (dimensions == null) return undefined;
  if (dimensions <= width) return dimensions;
  throw new ServingError("validation", `\`dimensions\` lies between 1 and ${width}; given: ${dimensions}`, {
    field: "dimensions",
  });
}

/** Encodes inputs of a model that embeds, and counts what they cost. */
export async function readInputs(
  exchange: Exchange,
  served: ServedModel,
  inputs: readonly Input[],
  reading: TextReading,
) {
  countCharacters(exchange, inputs);
  const units = await encodeAll(exchange, inputs, (input) => readText(served, input, reading));
  countDropped(exchange, units);
  return units;
}

/** Vectors of inputs, in their order. */
export async function embedInputs(
  exchange: Exchange,
  served: ServedModel,
  { program, width }: DenseAbility,
  inputs: readonly Input[],
  { dimensions, normalize, ...reading }: TextReading & { dimensions?: number | null; normalize: boolean },
): Promise<Float32Array[]> {
  const length = checkDimensions(dimensions, width);
  const { results } = await compute(exchange, program, await readInputs(exchange, served, inputs, reading));
  return results.map((vector) => shaped(vector, length, normalize));
}
