// Vectors of n-grams by hash, as fastText adds them to those of words (arXiv 1607.01759).
import { add, mul, type Tensor, take, tensor } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../batch.js";
import { defineSlot } from "../part.js";
import { visibleEnds } from "./visible-ends.js";

const schema = z.strictObject({
  type: z.literal("hashed-ngrams"),
  /** Lengths of n-grams, in tokens: words give word n-grams, characters give character n-grams. */
  sizes: z.array(z.int().min(2)).min(1).default([2]),
  /** Rows of the table; n-grams that fall into the same one share a vector. */
  buckets: z
    .int()
    .min(2)
    .default(1 << 18),
  /** The optimizer visits only rows that a step touched. */
  sparse: z.boolean().default(true),
});

/** FNV-1a over the bytes of the ids, then mixed, so that the low bits are good too. */
function hash(ids: Int32Array, start: number, end: number): number {
  let value = 0x811c9dc5;
  for (let i = start; i < end; i++) {
    for (let shift = 0; shift < 32; shift += 8) value = Math.imul(value ^ ((ids[i] >>> shift) & 255), 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  return (value ^ (value >>> 15)) >>> 0;
}

/** The bucket of the n-gram that begins at each token, and 1, or 0 where the sequence ends before it does. [tokens] */
function bucketsOf({ ids }: EncoderBatch, ends: Int32Array, size: number, buckets: number) {
  const rows = new Int32Array(ids.length);
  const there = new Float32Array(ids.length);
  for (let s = 0; s + 1 < ends.length; s++) {
    for (let token = ends[s]; token + size <= ends[s + 1]; token++) {
      rows[token] = hash(ids, token, token + size) % buckets;
      there[token] = 1;
    }
  }
  return { rows, there };
}

/**
 * The sum of the vectors of the n-grams that begin at a token, from one table by hash. It looks at ids only: with a
 * residual, a word's vector is added, and the mean over a sequence is fastText's bag of words and n-grams (up to its
 * divisor, which counts n-grams as words).
 */
export const hashedNgrams = defineSlot({
  schema,
  bind: ({ sizes, buckets, sparse }, hiddenSize) => ({
    matrices: [],
    vectors: [{ name: "table", shape: [buckets, hiddenSize], initial: "normal", sparseRows: sparse }],
    forward(x, { parameter }, { batch, once }) {
      const ends = once("visible-ends", () => visibleEnds(batch));
      return sizes
        .map((size): Tensor => {
          const { rows, there } = once(`ngrams ${size} ${buckets}`, () => bucketsOf(batch, ends, size, buckets));
          const mask = tensor(there, [there.length, 1], x.dtype);
          return mul(take(parameter("table"), tensor(rows)), mask);
        })
        .reduce(add);
    },
  }),
});
