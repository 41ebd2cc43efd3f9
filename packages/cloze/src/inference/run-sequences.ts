// Any number of sequences through a plan: batches of alike lengths, results in the order of the sequences.
import { groupByTokenBudget, packSequences, type Sequence } from "../data/packed-batch.js";
import type { CompiledModel } from "./compile.js";

export interface RunSequencesOptions {
  /** Tokens of a batch at most; a longer sequence stands alone. Default 4096. */
  tokenBudget?: number;
  /** Called after each batch with the sequences done so far. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * Runs sequences in batches of at most so many tokens, sorted by length.
 *
 * @returns for each sequence its rows: [width], or [tokens, width] where a row is a token's
 * @throws TOKEN_BUDGET, and what `run` throws
 * @example
 * const vectors = await runSequences(compile(model, { outputs: "pooled" }), ids.map((each) => ({ ids: each })));
 */
export async function runSequences(
  compiled: CompiledModel,
  sequences: readonly Sequence[],
  { tokenBudget = 4096, onProgress }: RunSequencesOptions = {},
): Promise<Float32Array[]> {
  const results = new Array<Float32Array>(sequences.length);
  const lengths = sequences.map(({ ids }) => ids.length);
  let done = 0;
  for (const group of groupByTokenBudget(lengths, tokenBudget)) {
    const rows = await compiled.run(packSequences(group.map((i) => sequences[i])));
    let at = 0;
    for (const i of group) {
      const length = compiled.width * (compiled.per === "token" ? lengths[i] : 1);
      results[i] = rows.slice(at, at + length);
      at += length;
    }
    done += group.length;
    onProgress?.(done, sequences.length);
  }
  return results;
}
