// The angles of rotary positions (arXiv 2104.09864).
import { type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import type { SlotContext } from "../part.js";

export const rotarySchema = z.strictObject({
  /** The wavelengths are 2 pi times powers of this, from 1 to itself. */
  theta: z.number().positive().default(10000),
  /** A pair of dimensions is (2i, 2i + 1), as in RoFormer, instead of (i, i + headSize / 2), as in ModernBERT. */
  interleaved: z.boolean().default(false),
  /** Values are turned too. */
  values: z.boolean().default(false),
  /** Cosines and sines are rounded to numbers of this kind, as a file in half precision holds them (RoFormer). Default: not. */
  rounding: z.enum(["float16", "bfloat16"]).optional(),
});
export type RotaryConfig = z.output<typeof rotarySchema>;

/** What angles follow from, and how exact their cosines and sines are. */
export type RotaryAngles = Pick<RotaryConfig, "theta" | "rounding">;

/** Digits behind the point of a number between 1 and 2, in base 2; below 2 ** least they get fewer. */
const precisions = { float16: { digits: 10, least: -14 }, bfloat16: { digits: 7, least: -126 } } as const;

/** The nearest number of a kind; of two, the even one. */
function rounded(value: number, { digits, least }: (typeof precisions)[keyof typeof precisions]): number {
  const step = 2 ** (Math.max(least, Math.floor(Math.log2(Math.abs(value)))) - digits);
  const [low, part] = [Math.floor(value / step), (value / step) % 1];
  return Math.abs(part) === 0.5 ? step * (low + (low & 1)) : step * Math.round(value / step);
}

/** Cosines and sines of the angles of places. Each [places, size / 2] */
export function rotaryAngles(places: ArrayLike<number>, size: number, { theta, rounding }: RotaryAngles) {
  const half = size / 2;
  const cosines = new Float32Array(places.length * half);
  const sines = new Float32Array(places.length * half);
  const frequencies = Float64Array.from({ length: half }, (_, i) => theta ** ((-2 * i) / size));
  for (let row = 0; row < places.length; row++) {
    for (let i = 0; i < half; i++) {
      const angle = places[row] * frequencies[i];
      cosines[row * half + i] = Math.cos(angle);
      sines[row * half + i] = Math.sin(angle);
    }
  }
  if (rounding !== undefined) {
    for (const table of [cosines, sines]) table.set(table.map((value) => rounded(value, precisions[rounding])));
  }
  return { cosines, sines };
}

/** The same for the tokens of a batch, computed once for all layers that agree. Each [tokens, size / 2] */
export function batchAngles(
  context: SlotContext,
  size: number,
  angles: RotaryAngles,
): { cosines: Tensor; sines: Tensor } {
  const { positions } = context.batch;
  const key = `rotary ${size} ${angles.theta} ${angles.rounding}`;
  const { cosines, sines } = context.once(key, () => rotaryAngles(positions, size, angles));
  const shape = [positions.length, size / 2];
  return { cosines: tensor(cosines, shape), sines: tensor(sines, shape) };
}
