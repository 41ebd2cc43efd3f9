// Hashes of token sequences: what duplicates are found by, and what decides which documents are held out.

const mix = (value: number): number => {
  let z = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
};

/** A hash of 64 bits as two words. Equal ids have equal hashes; a million different ones hardly ever do. */
export function hashTokens(ids: ArrayLike<number>, start: number, end: number, words: Uint32Array, at: number): void {
  let high = 0x9e3779b9;
  let low = 0x243f6a88;
  for (let i = start; i < end; i++) {
    high = Math.imul(high ^ ids[i], 0x01000193);
    high = (high << 13) | (high >>> 19);
    low = Math.imul(low ^ ids[i], 0x5bd1e995);
    low ^= low >>> 15;
  }
  words[at] = mix(high ^ (end - start));
  words[at + 1] = mix(low + 0x7f4a7c15 * (end - start));
}

/** Numbers of a MinHash signature, and of a band: documents of a similarity of 0.8 share a band with 98 %. */
export const signatureSize = 64;
export const bandSize = 4;
const shingle = 4;

const multipliers = Uint32Array.from({ length: signatureSize }, (_, i) => (mix(2 * i + 1) | 1) >>> 0);
const offsets = Uint32Array.from({ length: signatureSize }, (_, i) => mix(0x51ed270b + i));
const least = new Uint32Array(signatureSize);

/**
 * The MinHash signature (Broder 1997) of the sets of four tokens in a row: two signatures agree in a place as often as the
 * sets overlap (Jaccard). Of each number the lowest byte is kept (b-bit minwise hashing, arXiv 0910.3349).
 */
export function minHash(ids: ArrayLike<number>, start: number, end: number, signature: Uint8Array, at: number): void {
  least.fill(0xffffffff);
  const last = Math.max(start + 1, end - shingle + 1);
  for (let i = start; i < last; i++) {
    let hash = 0x811c9dc5;
    for (let j = i; j < Math.min(end, i + shingle); j++) hash = Math.imul(hash ^ ids[j], 0x01000193) ^ (hash >>> 15);
    hash = mix(hash);
    for (let k = 0; k < signatureSize; k++) {
      const value = (Math.imul(hash, multipliers[k]) + offsets[k]) >>> 0;
      if (value < least[k]) least[k] = value;
    }
  }
  // The high bits are small where sets are large: the low ones say more.
  for (let k = 0; k < signatureSize; k++) signature[at + k] = mix(least[k]) & 0xff;
}

/** The estimated overlap of two documents, 0 to 1. */
export function similarity(a: Uint8Array, b: Uint8Array): number {
  let equal = 0;
  for (let k = 0; k < signatureSize; k++) if (a[k] === b[k]) equal++;
  // One place of 256 agrees by chance.
  return Math.max(0, (equal / signatureSize - 1 / 256) / (1 - 1 / 256));
}
