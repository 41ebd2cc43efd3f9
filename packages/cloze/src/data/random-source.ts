/** Uniform numbers in [0, 1). */
export type RandomSource = () => number;

const mix = (value: number): number => {
  let z = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
};

/**
 * A stream of uniform numbers that depends on nothing but its keys: the stream of (seed, step) is the same in a resumed
 * run as in an uninterrupted one.
 *
 * @example
 * const random = randomSource(seed, step);
 */
export function randomSource(...keys: number[]): RandomSource {
  let key = 0x9e3779b9;
  for (const value of keys) key = mix(key ^ mix((value >>> 0) + 0x85ebca6b) ^ mix(Math.floor(value / 2 ** 32) >>> 0));
  let counter = 0;
  return () => {
    counter = (counter + 0x6d2b79f5) >>> 0;
    return (mix(mix(counter) ^ key) >>> 0) / 4294967296;
  };
}

/** A random order of 0 … count - 1. */
export function randomOrder(count: number, random: RandomSource): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
