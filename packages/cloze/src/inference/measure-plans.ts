// What a plan costs and what it loses: speed, memory, and how far its outputs are from another's.

import { memory } from "@cloze/tensor";
import { joinArrays } from "../data/join-arrays.js";
import type { PackedBatch } from "../data/packed-batch.js";
import { type CompiledModel, type CompileOptions, compile } from "./compile.js";

/** How near one set of vectors is to another. */
export interface Closeness {
  /** Mean over the vectors, and the worst of them. */
  readonly cosine: number;
  readonly leastCosine: number;
  /** Share of the rows whose largest number stands in the same place: of labels, the same answer. */
  readonly sameLargest: number;
}

/** Compares rows of `width` numbers. A row of zeros is like another one, and like nothing else. */
export function closeness(expected: Float32Array, received: Float32Array, width: number): Closeness {
  const rows = expected.length / width;
  let [sum, least, same] = [0, 1, 0];
  for (let row = 0; row < rows; row++) {
    const [a, b] = [expected, received].map((values) => values.subarray(row * width, (row + 1) * width));
    let [dot, x, y, first, second] = [0, 0, 0, 0, 0];
    for (let i = 0; i < width; i++) {
      dot += a[i] * b[i];
      x += a[i] * a[i];
      y += b[i] * b[i];
      if (a[i] > a[first]) first = i;
      if (b[i] > b[second]) second = i;
    }
    const cosine = x === 0 && y === 0 ? 1 : x === 0 || y === 0 ? 0 : dot / Math.sqrt(x * y);
    sum += cosine;
    // What is no number is as far as can be.
    least = cosine < least || Number.isNaN(cosine) ? cosine : least;
    same += Number(first === second);
  }
  return rows === 0
    ? { cosine: 1, leastCosine: 1, sameLargest: 1 }
    : { cosine: sum / rows, leastCosine: least, sameLargest: same / rows };
}

/** All batches through a plan, one after the other. */
export async function runBatches(compiled: CompiledModel, batches: readonly PackedBatch[]): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  for (const batch of batches) parts.push(await compiled.run(batch));
  return joinArrays(parts, Float32Array);
}

/** What a plan costs. */
export interface PlanCost {
  /** Of the copies of weights that the plan made; tables are shared with the model. */
  readonly planBytes: number;
  /** Of scratch memory for the largest batch. */
  readonly scratchBytes: number;
  /** Of a run of all batches: the median. */
  readonly seconds: number;
  readonly textsPerSecond: number;
}

/** A plan, and the bytes of weights that making it took. */
export function compileCounted(model: Parameters<typeof compile>[0], options: CompileOptions) {
  const weightsNow = () => memory.stats().byKind.weights;
  const before = weightsNow();
  const compiled = compile(model, options);
  return { compiled, planBytes: weightsNow() - before };
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];

/**
 * Times plans on the same batches, in turn, so that a busy machine is busy for all.
 *
 * @param seconds for all plans together; each runs three times at least
 */
export async function timePlans(
  plans: readonly { readonly compiled: CompiledModel; readonly planBytes: number }[],
  batches: readonly PackedBatch[],
  seconds = 2,
): Promise<PlanCost[]> {
  const times: number[][] = plans.map(() => []);
  for (const { compiled } of plans) await runBatches(compiled, batches);
  const start = performance.now();
  while (times[0].length < 3 || performance.now() - start < 1000 * seconds) {
    for (const [i, { compiled }] of plans.entries()) {
      const from = performance.now();
      await runBatches(compiled, batches);
      times[i].push((performance.now() - from) / 1000);
    }
  }
  const texts = batches.reduce((sum, { offsets }) => sum + offsets.length - 1, 0);
  return plans.map(({ compiled, planBytes }, i) => ({
    planBytes,
    scratchBytes: Math.max(
      0,
      ...batches.map(({ ids, offsets }) => compiled.bytes({ tokens: ids.length, sequences: offsets.length - 1 })),
    ),
    seconds: median(times[i]),
    textsPerSecond: texts / median(times[i]),
  }));
}
