// The random numbers of numpy.random.seed: Mersenne Twister 19937 (Matsumoto and Nishimura 1998), bit for bit.

const size = 624;
const middle = 397;

export interface NumpyRandom {
  /** 32 random bits. */
  next(): number;
  /** A random order of the values, as numpy.random.permutation gives it. */
  permutation(values: Iterable<number>): number[];
}

/**
 * A stream that equals numpy's after `numpy.random.seed(seed)`, for plans that other libraries made with it.
 *
 * @param seed from 0 to 2^32 - 1
 * @example
 * numpyRandom(0).permutation([1, 2, 3, 4]); // numpy.random.seed(0); numpy.random.permutation([1, 2, 3, 4])
 */
export function numpyRandom(seed: number): NumpyRandom {
  const state = new Uint32Array(size);
  state[0] = seed;
  for (let i = 1; i < size; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  let at = size;

  function refill(): void {
    for (let i = 0; i < size; i++) {
      const bits = (state[i] & 0x80000000) | (state[(i + 1) % size] & 0x7fffffff);
      state[i] = state[(i + middle) % size] ^ (bits >>> 1) ^ (bits & 1 ? 0x9908b0df : 0);
    }
    at = 0;
  }

  function next(): number {
    if (at === size) refill();
    let y = state[at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  return {
    next,
    permutation(values) {
      const order = [...values];
      for (let i = order.length - 1; i > 0; i--) {
        // Draws as many bits as the largest choice has, until they are no larger.
        const mask = 2 ** (32 - Math.clz32(i)) - 1;
        let j = next() & mask;
        while (j > i) j = next() & mask;
        [order[i], order[j]] = [order[j], order[i]];
      }
      return order;
    },
  };
}
