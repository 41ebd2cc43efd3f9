// Random numbers that depend on their seed alone: the same on every machine, backend and number of threads.
import { mixBits } from "./counter-random.js";
import type { DType } from "./dtype.js";
import { isReal, typedArray } from "./dtype.js";
import { ClozeError } from "./errors.js";
import type { Shape } from "./shape.js";
import { elementCount, validateShape } from "./shape.js";
import { type Tensor, tensor } from "./tensor.js";

/** Where a generator stands: plain JSON, for checkpoints. */
export interface RandomState {
  readonly seed: number;
  readonly words: readonly [number, number, number, number];
  /** The second of a pair of normal numbers, not given out yet. */
  readonly spare: number | null;
}

/** A stream of random numbers (xoshiro128**). */
export interface Random {
  /** 32 random bits, as a whole number of at least 0. */
  bits(): number;
  /** A number in [0, 1), of 53 bits. */
  uniform(): number;
  /** A number of the standard normal distribution. */
  normal(): number;
  /** A whole number in [0, below), each as likely. @throws INVALID_OPTION */
  integer(below: number): number;
  /** Shuffles in place, and returns what it was given. */
  shuffle<T extends { [index: number]: unknown; readonly length: number }>(list: T): T;
  /**
   * Another stream that depends on this one's seed and the key, not on what was drawn: `random.fork("encoder.layer.0")`
   * gives a parameter the same numbers in whatever order parameters are made.
   */
  fork(key: string | number): Random;
  state(): RandomState;
}

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

/** One 32-bit number from a seed of up to 53 bits and a key. */
function combine(seed: number, key: string | number): number {
  const text = typeof key === "number" ? `#${key}` : key;
  let hash = mixBits((seed % 2 ** 32) ^ mixBits(Math.floor(seed / 2 ** 32) + 0x9e3779b9));
  for (let i = 0; i < text.length; i++) hash = mixBits(Math.imul(hash, 31) + text.charCodeAt(i) + 1);
  return hash;
}

function checkSeed(seed: number): void {
  if (Number.isSafeInteger(seed) && seed >= 0) return;
  throw new ClozeError("INVALID_OPTION", "A seed is a whole number", {
    expected: "0 to 2^53 - 1",
    received: String(seed),
    remedy: "Pass a fixed number, and write it down with the results.",
  });
}

function initialWords(seed: number): RandomState["words"] {
  const word = (key: number) => combine(seed, key);
  return [word(0), word(1), word(2), word(3) || 1]; // All zeros would stay zeros.
}

/**
 * A random number generator from a seed, or from the state of another one. Not for secrets.
 *
 * @throws INVALID_OPTION
 * @example
 * const random = createRandom(42);
 * random.shuffle([1, 2, 3]);
 * const resumed = createRandom(random.state());
 */
export function createRandom(from: number | RandomState): Random {
  const seed = typeof from === "number" ? from : from.seed;
  checkSeed(seed);
  let [a, b, c, d] = typeof from === "number" ? initialWords(seed) : from.words;
  let spare: number | null = typeof from === "number" ? null : from.spare;
  if (![a, b, c, d].every((word) => Number.isInteger(word)) || (a | b | c | d) === 0) {
    throw new ClozeError("INVALID_OPTION", "This is no state of a random number generator", {
      received: JSON.stringify([a, b, c, d]),
      remedy: "Pass what state() returned.",
    });
  }

  function bits(): number {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result >>> 0;
  }
  const uniform = (): number => ((bits() >>> 5) * 67108864 + (bits() >>> 6)) / 9007199254740992;

  function normal(): number {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    // Marsaglia's polar method: a point in the unit disc gives two numbers.
    for (;;) {
      const x = (bits() + 0.5) / 2147483648 - 1;
      const y = (bits() + 0.5) / 2147483648 - 1;
      const s = x * x + y * y;
      if (s >= 1) continue;
      const factor = Math.sqrt((-2 * Math.log(s)) / s);
      spare = y * factor;
      return x * factor;
    }
  }

  function integer(below: number): number {
    if (!Number.isSafeInteger(below) || below < 1) {
      throw new ClozeError("INVALID_OPTION", "random.integer draws from a range that is not empty", {
        expected: "a whole number of at least 1",
        received: String(below),
      });
    }
    if (below > 4294967296) return Math.floor(uniform() * below);
    // Bits past the last whole multiple would favour small numbers: draw again.
    const limit = 4294967296 - (4294967296 % below);
    for (;;) {
      const value = bits();
      if (value < limit) return value % below;
    }
  }

  return {
    bits,
    uniform,
    normal,
    integer,
    shuffle(list) {
      const items: { [index: number]: unknown } = list;
      for (let i = list.length - 1; i > 0; i--) {
        const j = integer(i + 1);
        const kept = items[i];
        items[i] = items[j];
        items[j] = kept;
      }
      return list;
    },
    fork: (key) => createRandom(combine(seed, key) + 4294967296 * (combine(seed, `${key}/`) >>> 11)),
    state: () => ({ seed, words: [a >>> 0, b >>> 0, c >>> 0, d >>> 0], spare }),
  };
}

export interface RandomTensorOptions {
  /** A number, or a generator to draw from (which moves on). */
  seed: number | Random;
  /** Default "float32". */
  dtype?: DType;
}

function draw(
  operation: string,
  shape: Shape,
  { seed, dtype = "float32" }: RandomTensorOptions,
  one: (random: Random) => number,
): Tensor {
  validateShape(operation, shape);
  if (!isReal(dtype)) {
    throw new ClozeError("DTYPE_NOT_SUPPORTED", `${operation} makes float32 or float64`, { received: dtype });
  }
  const random = typeof seed === "number" ? createRandom(seed) : seed;
  const values = typedArray(dtype, elementCount(shape));
  for (let i = 0; i < values.length; i++) values[i] = one(random);
  return tensor(values, shape);
}

function checkFinite(operation: string, name: string, value: number, least = Number.NEGATIVE_INFINITY): void {
  if (Number.isFinite(value) && value >= least) return;
  throw new ClozeError("INVALID_OPTION", `${operation}: ${name} is out of range`, {
    expected: least === 0 ? "a finite number of at least 0" : "a finite number",
    received: String(value),
  });
}

/**
 * A tensor of normal numbers: `mean` (default 0) plus `std` (default 1) times a standard normal one.
 *
 * @throws INVALID_OPTION, INVALID_SHAPE
 * @example
 * const w = parameter(randomNormal([768, 768], { seed: 1, std: 0.02 }));
 */
export function randomNormal(
  shape: Shape,
  { mean = 0, std = 1, ...options }: RandomTensorOptions & { mean?: number; std?: number },
): Tensor {
  checkFinite("randomNormal", "mean", mean);
  checkFinite("randomNormal", "std", std, 0);
  return draw("randomNormal", shape, options, (random) => mean + std * random.normal());
}

/**
 * A tensor of numbers that are equally likely in [low, high); default [0, 1).
 *
 * @throws INVALID_OPTION, INVALID_SHAPE
 * @example
 * const noise = randomUniform([4, 3], { seed: 1, low: -0.1, high: 0.1 });
 */
export function randomUniform(
  shape: Shape,
  { low = 0, high = 1, ...options }: RandomTensorOptions & { low?: number; high?: number },
): Tensor {
  checkFinite("randomUniform", "low", low);
  checkFinite("randomUniform", "high", high);
  checkFinite("randomUniform", "high - low", high - low, 0);
  const round = options.dtype === "float64" ? (x: number) => x : Math.fround;
  return draw("randomUniform", shape, options, (random) => {
    const value = low + (high - low) * random.uniform();
    return round(value) < high ? value : low; // Rounding may reach the end, which does not belong.
  });
}

/**
 * A tensor of normal numbers, those further than `bound` (default 2) standard deviations from the mean drawn again.
 * `std` (default 1) is that of the normal distribution before it is cut: with bound 2 the result's is 0.88 of it.
 *
 * @throws INVALID_OPTION, INVALID_SHAPE
 * @example
 * const table = parameter(truncatedNormal([30522, 768], { seed: 1, std: 0.02 }));
 */
export function truncatedNormal(
  shape: Shape,
  { mean = 0, std = 1, bound = 2, ...options }: RandomTensorOptions & { mean?: number; std?: number; bound?: number },
): Tensor {
  checkFinite("truncatedNormal", "mean", mean);
  checkFinite("truncatedNormal", "std", std, 0);
  checkFinite("truncatedNormal", "bound", bound, 0);
  const standard = (random: Random): number => {
    for (;;) {
      // Within a narrow bound few normal numbers fall: thin out uniform ones there.
      const x = bound < 1 ? bound * (2 * random.uniform() - 1) : random.normal();
      if (bound < 1 ? random.uniform() < Math.exp(-0.5 * x * x) : Math.abs(x) <= bound) return x;
    }
  };
  return draw("truncatedNormal", shape, options, (random) => mean + std * standard(random));
}
