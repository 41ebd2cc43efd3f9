import type { TokenStore } from "./token-store.js";

/** Sequences in memory in the form of a token store: for small and made corpora. */
export function memoryStore(sequences: readonly ArrayLike<number>[]): TokenStore {
  const kept = sequences.map((ids) => Int32Array.from(ids));
  return {
    count: kept.length,
    tokens: kept.reduce((sum, ids) => sum + ids.length, 0),
    length: (index) => kept[index].length,
    sequence: (index) => kept[index],
    close() {},
  };
}
