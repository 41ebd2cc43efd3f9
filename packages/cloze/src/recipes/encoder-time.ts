import { noGrad, scope } from "@cloze/tensor";
import type { PackedBatch } from "../data/packed-batch.js";
import type { Model } from "../families/index.js";

/**
 * How long an encoder takes for a batch, as a share of another one's: the shortest of many passes in turns, so that what
 * else the machine does counts for both.
 */
export function encoderTimeRatio(
  one: Pick<Model, "encoder">,
  other: Pick<Model, "encoder">,
  batch: PackedBatch,
  turns = 60,
): number {
  const best = [one, other].map(() => Number.POSITIVE_INFINITY);
  for (let turn = -3; turn < turns; turn++) {
    [one, other].forEach(({ encoder }, i) => {
      const start = performance.now();
      scope(() => noGrad(() => encoder.forward(batch)));
      if (turn >= 0) best[i] = Math.min(best[i], performance.now() - start);
    });
  }
  return best[0] / best[1];
}
