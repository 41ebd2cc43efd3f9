// Attention to the context of each sequence alone (MP3, arXiv 2207.07611): keys and values of the other tokens are left out.
import type { EncoderBatch } from "../batch.js";
import { type BlockPlan, planBlocks, type QueryBlock } from "./block-attention.js";
import { attendedSequences } from "./composed-attention.js";

/** Sequences whose lengths differ by less share a plan, in which all get the slots of the longest. */
const alike = 16;

const rangeFrom = (start: number, count: number): number[] => Array.from({ length: count }, (_, i) => start + i);

/** Which rows of a batch are looked at, and by whom. */
export interface ContextPlan {
  /** Rows of the batch, ascending. [looked] */
  readonly rows: Int32Array;
  /** Plans for `attendBlocks` whose keys are counted in `rows`. */
  readonly plans: readonly BlockPlan[];
}

/**
 * All tokens of a sequence look at those that the batch's `context` names, whose keys and values alone are given to
 * `attendBlocks`: time and memory grow with length x context. The plain twin is `attendComposed` with `keyMask`.
 */
export function planContext(batch: EncoderBatch): ContextPlan {
  const looked: number[] = [];
  const groups = new Map<number, QueryBlock[]>();
  for (const { start, length, seen } of attendedSequences(batch)) {
    const size = Math.ceil(length / alike);
    const group = groups.get(size) ?? [];
    groups.set(size, group);
    const rows = rangeFrom(start, seen).filter((row) => batch.context?.[row] !== 0);
    group.push({ queries: rangeFrom(start, length), keys: [rangeFrom(looked.length, rows.length)] });
    looked.push(...rows);
  }
  return { rows: Int32Array.from(looked), plans: [...groups.values()].map((blocks) => planBlocks(blocks)) };
}
