// Large batches in as many parts as there are threads, each part on a thread of its own.
import { backend } from "@cloze/tensor";
import type { PackedBatch } from "../data/packed-batch.js";
import type { EncoderBatch } from "../encoder/batch.js";
import type { CompiledModel } from "./compile.js";

/** Tokens of a part that keep a thread as busy as any number would. */
const worthwhile = 128;

/** How much larger than the mean a part may be: the others then wait for it. */
const unevenness = 1.1;

/** As many runs as Node's own threads take at once. */
const mostParts = 4;

/**
 * The sequences at which the parts of a batch begin, and their number behind: parts of alike tokens, in order.
 *
 * @returns undefined where they would be too small, or too unlike
 * @example
 * partsOf(Int32Array.of(0, 100, 200, 300, 400), 2); // [0, 2, 4]
 */
export function partsOf(offsets: Int32Array, count: number): number[] | undefined {
  const sequences = offsets.length - 1;
  const mean = offsets[sequences] / count;
  if (count < 2 || mean < worthwhile) return undefined;
  const starts = [0];
  let s = 0;
  for (let part = 1; part < count; part++) {
    const wanted = part * mean;
    while (s < sequences && offsets[s + 1] - wanted <= wanted - offsets[s]) s++;
    starts.push(s);
  }
  starts.push(sequences);
  const fits = starts.every((start, i) => i === 0 || offsets[start] - offsets[starts[i - 1]] <= unevenness * mean);
  return fits ? starts : undefined;
}

/** Sequences [from, to) of a batch of plain sequences. */
function sliceOf({ ids, segments, positions, offsets }: PackedBatch, from: number, to: number): PackedBatch {
  const [start, end] = [offsets[from], offsets[to]];
  return {
    ids: ids.subarray(start, end),
    segments: segments.subarray(start, end),
    positions: positions.subarray(start, end),
    offsets: offsets.slice(from, to + 1).map((offset) => offset - start),
  };
}

const isPlain = ({ visible, values, globalTokens }: EncoderBatch): boolean =>
  visible === undefined && values === undefined && globalTokens === undefined;

/**
 * The same model, whose `run` gives each thread some sequences of a large batch for itself. Threads that share every product
 * wait for each other a hundred times in a pass, and all of them whenever something else takes the processor of one; this way
 * they meet once, at the end. A batch of little, or of one long sequence, is shared as before.
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
      const count = plans?.beside === true && options?.threads === undefined ? threads() : 1;
      const starts =
        count <= mostParts && isPlain(batch) && compiled.takes(batch) ? partsOf(batch.offsets, count) : undefined;
      if (starts === undefined) return compiled.run(batch, options);
      const parts = starts.slice(1).map((end, part) => sliceOf(batch, starts[part], end));
      const values = await Promise.all(parts.map((part) => compiled.run(part, { threads: 1 })));
      const all = new Float32Array(values.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const some of values) {
        all.set(some, at);
        at += some.length;
      }
      return all;
    },
  };
}
