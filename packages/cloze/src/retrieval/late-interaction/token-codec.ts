// Vectors of tokens in a few bytes (ColBERTv2, Santhanam 2021): the number of the nearest centroid, and what is left over in
// `bits` bits per dimension, in buckets that hold equally many.
import { createNearest } from "@cloze/tensor";
import { randomSource } from "../../data/random-source.js";

export interface TokenCodecOptions {
  /** Bits of each dimension's residual: 1, 2, 4 or 8. Default 2. */
  bits?: 1 | 2 | 4 | 8;
  /** Default: 2 ^ floor(log2(16 sqrt(vectors))), at most half of the vectors. */
  centroids?: number;
  /** Rounds of k-means; 8 unless told. */
  rounds?: number;
  seed?: number;
}

/** Token vectors, compressed. */
export interface TokenCodes {
  /** Centroid of each token. */
  readonly centroids: Uint16Array | Uint32Array;
  /** [tokens, width x bits / 8], the first dimension in the lowest bits. */
  readonly residuals: Uint8Array;
}

/** What a codec has learned: all that it takes to make it again. */
export interface TokenCodecParts {
  readonly width: number;
  readonly bits: number;
  /** [count, width], of length 1 */
  readonly centroids: Float32Array;
  /** Bounds between the buckets of residuals, ascending: [2 ^ bits - 1] */
  readonly cuts: Float32Array;
  /** What a residual in each bucket is read as: [2 ^ bits] */
  readonly values: Float32Array;
}

export interface TokenCodec extends TokenCodecParts {
  encode(vectors: Float32Array): TokenCodes;
  /** Vectors of length 1. @returns [tokens, width] */
  decode(codes: TokenCodes, start?: number, end?: number): Float32Array;
  /** The nearest centroids of each vector, best first. */
  nearest(vectors: Float32Array, count: number): number[][];
}

function normalize(rows: Float32Array, width: number): void {
  for (let start = 0; start < rows.length; start += width) {
    let squares = 0;
    for (let c = start; c < start + width; c++) squares += rows[c] ** 2;
    const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let c = start; c < start + width; c++) rows[c] *= scale;
  }
}

const bytesOf = (rows: Float32Array): Uint8Array => new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);

function nearestRows(vectors: Float32Array, centroids: Float32Array, width: number, count: number): number[][] {
  const found: number[][] = [];
  // A block of vectors at a time, so that the products stay in the cache.
  for (let start = 0; start < vectors.length; start += 256 * width) {
    const search = createNearest(vectors.slice(start, start + 256 * width), width, count);
    search.visit("float32", bytesOf(centroids), 0);
    for (const hits of search.hits()) found.push(hits.map(({ index }) => index));
  }
  return found;
}

/** Spherical k-means; a centroid that nothing is near keeps its place. */
function clusterRows(vectors: Float32Array, width: number, count: number, rounds: number, seed: number): Float32Array {
  const random = randomSource(seed);
  const rows = vectors.length / width;
  const order = Uint32Array.from({ length: rows }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    const j = i + Math.floor(random() * (rows - i));
    [order[i], order[j]] = [order[j], order[i]];
  }
  const centroids = new Float32Array(count * width);
  for (let i = 0; i < count; i++) centroids.set(vectors.subarray(order[i] * width, (order[i] + 1) * width), i * width);
  for (let round = 0; round < rounds; round++) {
    const sums = new Float32Array(centroids.length);
    const sizes = new Uint32Array(count);
    for (const [row, [place]] of nearestRows(vectors, centroids, width, 1).entries()) {
      sizes[place]++;
      for (let c = 0; c < width; c++) sums[place * width + c] += vectors[row * width + c];
    }
    normalize(sums, width);
    for (let i = 0; i < count; i++)
      if (sizes[i] > 0) centroids.set(sums.subarray(i * width, (i + 1) * width), i * width);
  }
  return centroids;
}

/** Bytes of a token's residuals. */
export const residualBytes = ({ width, bits }: Pick<TokenCodecParts, "width" | "bits">): number =>
  Math.ceil((width * bits) / 8);

/** Tokens that a codec is learned from at most, unless told. */
export const usualSample = 100_000;

/**
 * The tokens that a codec is learned from: one of every so many, so that all documents have a part in it.
 *
 * @param documents for each document [tokens, width]
 * @param most tokens at most. Default 100,000
 * @returns [tokens, width]
 */
export function sampleTokens(documents: readonly Float32Array[], width: number, most = usualSample): Float32Array {
  const tokens = documents.reduce((sum, { length }) => sum + length / width, 0);
  const step = Math.max(1, Math.ceil(tokens / most));
  const sample = new Float32Array(Math.ceil(tokens / step) * width);
  let [token, filled] = [0, 0];
  for (const document of documents) {
    for (let at = 0; at < document.length; at += width) {
      if (token++ % step !== 0) continue;
      sample.set(document.subarray(at, at + width), filled);
      filled += width;
    }
  }
  return sample;
}

/**
 * Learns a codec from token vectors of length 1.
 *
 * @param sample [tokens, width], at least one; width x bits divisible by 8
 */
export function trainTokenCodec(sample: Float32Array, width: number, options: TokenCodecOptions = {}): TokenCodec {
  const { bits = 2, rounds = 8, seed = 1 } = options;
  const rows = sample.length / width;
  const usual = 2 ** Math.floor(Math.log2(16 * Math.sqrt(rows)));
  const count = Math.max(1, Math.min(options.centroids ?? usual, options.centroids === undefined ? rows >> 1 : rows));
  const centroids = clusterRows(sample, width, count, rounds, seed);
  const assigned = nearestRows(sample, centroids, width, 1);
  const residuals = new Float32Array(sample.length);
  for (let i = 0; i < sample.length; i++)
    residuals[i] = sample[i] - centroids[assigned[Math.floor(i / width)][0] * width + (i % width)];
  residuals.sort();
  const levels = 2 ** bits;
  const quantile = (share: number) => residuals[Math.min(residuals.length - 1, Math.floor(share * residuals.length))];
  return tokenCodec({
    width,
    bits,
    centroids,
    cuts: Float32Array.from({ length: levels - 1 }, (_, i) => quantile((i + 1) / levels)),
    values: Float32Array.from({ length: levels }, (_, i) => quantile((i + 0.5) / levels)),
  });
}

/** The codec of what was learned. */
export function tokenCodec({ width, bits, centroids, cuts, values }: TokenCodecParts): TokenCodec {
  const bucketOf = (residual: number): number => {
    let [low, high] = [0, cuts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cuts[middle] < residual) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const rowBytes = residualBytes({ width, bits });
  const count = centroids.length / width;
  const mask = 2 ** bits - 1;
  return {
    width,
    bits,
    centroids,
    cuts,
    values,
    nearest: (vectors, wanted) => nearestRows(vectors, centroids, width, Math.min(wanted, count)),
    encode(vectors) {
      const places = Uint32Array.from(nearestRows(vectors, centroids, width, 1), ([place]) => place);
      const codes = new Uint8Array(places.length * rowBytes);
      for (let row = 0; row < places.length; row++) {
        for (let c = 0; c < width; c++) {
          const bucket = bucketOf(vectors[row * width + c] - centroids[places[row] * width + c]);
          codes[row * rowBytes + ((c * bits) >> 3)] |= bucket << ((c * bits) & 7);
        }
      }
      return { centroids: places, residuals: codes };
    },
    decode({ centroids: places, residuals: codes }, start = 0, end = places.length) {
      const vectors = new Float32Array((end - start) * width);
      for (let row = start; row < end; row++) {
        for (let c = 0; c < width; c++) {
          const bucket = (codes[row * rowBytes + ((c * bits) >> 3)] >> ((c * bits) & 7)) & mask;
          vectors[(row - start) * width + c] = centroids[places[row] * width + c] + values[bucket];
        }
      }
      normalize(vectors, width);
      return vectors;
    },
  };
}
