// A teacher's logits on disk: computed once, read again for the same pairs only.
import { createHash } from "node:crypto";
import { readSafetensors, scope, tensor, writeSafetensors } from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import type { ScorablePair } from "./distill.js";

/** The first four bytes of a hash of the two texts, in their order. */
const hashOf = ({ first, second }: ScorablePair): number =>
  createHash("sha256")
    .update(JSON.stringify([first, second]))
    .digest()
    .readInt32LE();

/**
 * Writes logits, row i those of pair i, with a hash of each pair beside them.
 *
 * @throws LABELS_SHAPE, FILE_WRITE, DISK_FULL
 */
export function writePairLogits(
  path: string,
  pairs: readonly ScorablePair[],
  logits: readonly (readonly number[])[],
): void {
  const outputs = logits[0]?.length ?? 0;
  if (logits.length !== pairs.length || logits.some((row) => row.length !== outputs)) {
    throw new ClozeError("LABELS_SHAPE", "The logits do not fit the pairs", {
      expected: `${pairs.length} rows of as many numbers each`,
      received: `${logits.length} rows`,
    });
  }
  scope(() =>
    writeSafetensors(path, [
      ["logits", tensor(Float32Array.from(logits.flat()), [pairs.length, outputs])],
      ["pairs", tensor(Int32Array.from(pairs, hashOf))],
    ]),
  );
}

/**
 * Reads what `writePairLogits` wrote.
 *
 * @throws PAIR_LOGITS where a row belongs to another pair, and what `readSafetensors` throws
 */
export function readPairLogits(path: string, pairs: readonly ScorablePair[]): number[][] {
  const file = readSafetensors(path);
  try {
    return scope(() => {
      const hashes = file.load("pairs").toTypedArray();
      const wrong = pairs.findIndex((pair, i) => hashes[i] !== hashOf(pair));
      if (hashes.length !== pairs.length || wrong >= 0) {
        throw new ClozeError("PAIR_LOGITS", `${path} holds the logits of other pairs`, {
          expected: `${pairs.length} pairs, in the order in which they were written`,
          received: wrong >= 0 ? `another pair in row ${wrong + 1}` : `${hashes.length} pairs`,
          remedy: "Compute the logits again, or give the pairs in their old order.",
        });
      }
      return file.load("logits").toArray() as number[][];
    });
  } finally {
    file.close();
  }
}
