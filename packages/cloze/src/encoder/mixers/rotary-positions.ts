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
});
export type RotaryConfig = z.output<typeof rotarySchema>;

/** Cosines and sines of the angles of places. Each [places, size / 2] */
export function rotaryAngles(places: ArrayLike<number>, size: number, theta: number) {
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
  return { cosines, sines };
}

/** The same for the tokens of a batch, computed once for all layers that agree. Each [tokens, size / 2] */
export function batchAngles(context: SlotContext, size: number, theta: number): { cosines: Tensor; sines: Tensor } {
  const { positions } = context.batch;
  const { cosines, sines } = context.once(`rotary ${size} ${theta}`, () => rotaryAngles(positions, size, theta));
  const shape = [positions.length, size / 2];
  return { cosines: tensor(cosines, shape), sines: tensor(sines, shape) };
}
