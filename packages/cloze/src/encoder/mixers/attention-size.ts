import { ClozeError } from "../../errors.js";

/**
 * heads x headSize, where the size of a head follows from the hidden size unless it is given.
 *
 * @param part who asks, for the message
 * @throws CONFIG_INVALID where the hidden size is no multiple of the number of heads
 */
export function innerSize(part: string, heads: number, headSize: number | undefined, hiddenSize: number): number {
  if (headSize !== undefined) return heads * headSize;
  if (hiddenSize % heads === 0) return hiddenSize;
  throw new ClozeError("CONFIG_INVALID", `${part}: the hidden size is no multiple of the number of heads`, {
    received: `hiddenSize ${hiddenSize}, heads ${heads}`,
    remedy: "Change one of them, or give headSize.",
  });
}
