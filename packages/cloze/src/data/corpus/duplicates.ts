// Which documents repeat an earlier one: exactly, by the hash of their tokens; nearly, by their MinHash signatures. Both in
// memory that does not grow with the corpus: a share of the hashes at a time.
import { bandSize, signatureSize, similarity } from "./token-hash.js";

/** Documents laid out shard after shard. */
export interface HashedShards {
  /** First document of each shard, and the number of all. [shards + 1] */
  readonly starts: readonly number[];
  /** Hashes of a shard's documents, two words each. */
  hashes(shard: number): Uint32Array;
  signatures(shard: number): Uint8Array;
}

/** Documents whose hashes are in memory at a time. */
const documentsAtOnce = 1 << 21;

const tableSize = (documents: number): number => 2 ** Math.ceil(Math.log2(Math.max(16, 2 * documents)));

/**
 * Calls `onDuplicate` for each document whose hash an earlier one has.
 *
 * @param skip documents that are not looked at
 */
export function findExactDuplicates(
  shards: HashedShards,
  onDuplicate: (document: number) => void,
  atOnce = documentsAtOnce,
): void {
  const { starts } = shards;
  const total = starts[starts.length - 1];
  const passes = Math.max(1, Math.ceil(total / atOnce));
  // Hashes spread evenly over the passes, with room for chance.
  const size = tableSize(Math.ceil((1.2 * total) / passes) + 64);
  const table = new Uint32Array(2 * size);
  const used = new Uint8Array(size);
  for (let pass = 0; pass < passes; pass++) {
    used.fill(0);
    for (let shard = 0; shard + 1 < starts.length; shard++) {
      const hashes = shards.hashes(shard);
      for (let i = 0; i < starts[shard + 1] - starts[shard]; i++) {
        const [high, low] = [hashes[2 * i], hashes[2 * i + 1]];
        if (passes > 1 && high % passes !== pass) continue;
        let slot = low & (size - 1);
        while (used[slot] === 1 && !(table[2 * slot] === high && table[2 * slot + 1] === low)) {
          slot = (slot + 1) & (size - 1);
        }
        if (used[slot] === 1) onDuplicate(starts[shard] + i);
        else {
          used[slot] = 1;
          table[2 * slot] = high;
          table[2 * slot + 1] = low;
        }
      }
    }
  }
}

/** Documents of one band key that are compared with each later one. */
const mostCompared = 8;

/**
 * Calls `onDuplicate` for each document that overlaps an earlier one by at least `threshold` (Jaccard, of sets of four tokens
 * in a row, as estimated). Candidates share one of the bands of their signatures (locality-sensitive hashing).
 *
 * @param isLeftOut documents that are gone already
 */
export function findNearDuplicates(
  shards: HashedShards,
  threshold: number,
  isLeftOut: (document: number) => boolean,
  onDuplicate: (document: number) => void,
  atOnce = documentsAtOnce,
): void {
  const { starts } = shards;
  const total = starts[starts.length - 1];
  const passes = Math.max(1, Math.ceil(total / atOnce));
  const found = new Uint8Array(Math.ceil(total / 8));
  const isFound = (document: number): boolean => (found[document >> 3] & (1 << (document & 7))) !== 0;
  for (let band = 0; band < signatureSize / bandSize; band++) {
    for (let pass = 0; pass < passes; pass++) {
      /** Signatures of the documents that stand for a key, end to end. */
      const byKey = new Map<number, Uint8Array[]>();
      for (let shard = 0; shard + 1 < starts.length; shard++) {
        const signatures = shards.signatures(shard);
        for (let i = 0; i < starts[shard + 1] - starts[shard]; i++) {
          const document = starts[shard] + i;
          if (isLeftOut(document) || isFound(document)) continue;
          const at = signatureSize * i;
          let key = 0;
          for (let b = 0; b < bandSize; b++) key = key * 256 + signatures[at + band * bandSize + b];
          if (passes > 1 && key % passes !== pass) continue;
          const known = byKey.get(key);
          const signature = signatures.subarray(at, at + signatureSize);
          if (known === undefined) byKey.set(key, [signature.slice()]);
          else if (known.some((other) => similarity(other, signature) >= threshold)) {
            found[document >> 3] |= 1 << (document & 7);
            onDuplicate(document);
          } else if (known.length < mostCompared) known.push(signature.slice());
        }
      }
    }
  }
}
