// Large batches in parts that threads take in turn, each part on one thread.
import { backend } from "@cloze/tensor";
import type { PackedBatch } from "../data/packed-batch.js";
import type { EncoderBatch } from "../encoder/batch.js";
import type { CompiledModel } from "./compile.js";

/** Tokens of a part that keep a thread about as busy as any number would. */
const worthwhile = 64;

/** How much larger than the mean a part may be: the others then wait for it. */
const unevenness = 1.1;

/** As many runs as Node's own threads take at once. */
const mostLanes = 4;

/** Parts of so many tokens are as quick as larger ones, and there are at most so many of them for each thread. */
const enough = 256;
const mostPerThread = 4;

/**
 * The sequences of each part, in order: the longest first, each to the part that has the fewest tokens.
 *
 * @returns undefined where parts would be too small, or too unlike
 * @example
 * partsOf(Int32Array.of(0, 100, 300, 400), 2); // [[1], [0, 2]]
 */
export function partsOf(offsets: Int32Array, count: number): number[][] | undefined {
  const sequences = offsets.length - 1;
  const mean = offsets[sequences] / count;
  if (count < 2 || mean < worthwhile) return undefined;
  const lengthOf = (s: number): number => offsets[s + 1] - offsets[s];
  const parts = Array.from({ length: count }, () => ({ tokens: 0, members: [] as number[] }));
  for (const s of Array.from({ length: sequences }, (_, i) => i).sort((a, b) => lengthOf(b) - lengthOf(a) || a - b)) {
    const least = parts.reduce((best, part) => (part.tokens < best.tokens ? part : best));
    least.tokens += lengthOf(s);
    least.members.push(s);
  }
  if (parts.some(({ tokens }) => tokens > unevenness * mean)) return undefined;
  return parts.map(({ members }) => members.sort((a, b) => a - b));
}

/** Some sequences of a batch as a batch. */
function pick({ ids, segments, positions, offsets }: PackedBatch, sequences: readonly number[]): PackedBatch {
  const ends = new Int32Array(sequences.length + 1);
  sequences.forEach((s, i) => {
    ends[i + 1] = ends[i] + offsets[s + 1] - offsets[s];
  });
  const take = (from: Int32Array): Int32Array => {
    const some = new Int32Array(ends[sequences.length]);
    sequences.forEach((s, i) => {
      some.set(from.subarray(offsets[s], offsets[s + 1]), ends[i]);
    });
    return some;
  };
  return { ids: take(ids), segments: take(segments), positions: take(positions), offsets: ends };
}

const isPlain = ({ visible, values, globalTokens }: EncoderBatch): boolean =>
  visible === undefined && values === undefined && globalTokens === undefined;

/**
 * The same model, whose `run` gives each thread some sequences of a large batch for itself. Threads that share every product
 * wait for each other a hundred times in a pass, and all of them whenever something else takes the processor of one; this way
 * they meet once, at the end, and where there is enough for several parts a thread that is held up takes fewer of them. A batch
 * of little, or of one long sequence, is shared as before.
 *
 * @example
 * const compiled = inParts(compile(model, { outputs: "pooled" }));
 */
export function inParts(compiled: CompiledModel): CompiledModel {
  if (!compiled.planned) return compiled;
  return {
    ...compiled,
    async run(batch, options) {
      const { plans, threads } = backend();
      const lanes = plans?.beside === true && options?.threads === undefined ? threads() : 1;
      if (lanes > mostLanes || !isPlain(batch) || !compiled.takes(batch)) return compiled.run(batch, options);
      const each = Math.max(1, Math.min(mostPerThread, Math.floor(batch.ids.length / (lanes * enough))));
      const parts = partsOf(batch.offsets, lanes * each) ?? partsOf(batch.offsets, lanes);
      if (parts === undefined) return compiled.run(batch, options);
      const { width, per } = compiled;
      const { offsets } = batch;
      const rowsOf = (s: number): [number, number] => (per === "token" ? [offsets[s], offsets[s + 1]] : [s, s + 1]);
      const all = new Float32Array(width * (per === "token" ? batch.ids.length : offsets.length - 1));
      const runPart = async (sequences: readonly number[]): Promise<void> => {
        const values = await compiled.run(pick(batch, sequences), { threads: 1 });
        let at = 0;
        for (const s of sequences) {
          const [first, end] = rowsOf(s);
          const size = width * (end - first);
          all.set(values.subarray(at, at + size), width * first);
          at += size;
        }
      };
      let next = 0;
      const lane = async (): Promise<void> => {
        while (next < parts.length) await runPart(parts[next++]);
      };
      try {
        await Promise.all(Array.from({ length: lanes }, lane));
      } finally {
        // What has not begun when a part fails never begins.
        next = parts.length;
      }
      return all;
    },
  };
}
