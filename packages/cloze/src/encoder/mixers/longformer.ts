// Longformer's attention (arXiv 2004.05150): a sliding window, and global tokens that look at all and are seen by all.
import { concat, selfAttention, type Tensor, take, tensor } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../batch.js";
import { defineSlot } from "../part.js";
import { weightSchema } from "../weights/index.js";
import { innerSize } from "./attention-size.js";
import { attendBlocks, type BlockPlan, planBlocks, type QueryBlock } from "./block-attention.js";
import { type AttendedSequence, attendedSequences, splitColumns } from "./composed-attention.js";

const schema = z.strictObject({
  type: z.literal("longformer"),
  heads: z.int().min(1),
  /** Default: hiddenSize / heads. */
  headSize: z.int().min(1).optional(),
  /** A token sees those at most this far away, and the global tokens. */
  window: z.int().min(1),
  /** Share of the attention probabilities to drop in training. */
  dropout: z.number().min(0).lt(1).default(0.1),
  bias: z.boolean().default(true),
  weights: z
    .strictObject({
      queryKeyValue: weightSchema.optional(),
      globalQuery: weightSchema.optional(),
      globalKeyValue: weightSchema.optional(),
      output: weightSchema.optional(),
    })
    .optional(),
});

/** Tokens of a block at most; windows are cut into such blocks of queries. */
const blockLimit = 128;
const blockLeast = 16;

/** The places of a sequence's global tokens, as rows of the batch. */
const globalRows = ({ globalTokens }: EncoderBatch, { start, seen }: AttendedSequence): number[] =>
  globalTokens === undefined
    ? []
    : Array.from({ length: seen }, (_, i) => start + i).filter((row) => globalTokens[row] === 1);

/** Each token looks at its window and at the global tokens. */
function planWindows(batch: EncoderBatch, window: number): BlockPlan {
  const sequences = attendedSequences(batch);
  const longest = sequences.reduce((most, { seen }) => Math.max(most, seen), 1);
  const size = Math.min(blockLimit, Math.max(blockLeast, window), longest);
  const span = Math.min(size + 2 * window, longest);
  const isGlobal = (row: number): boolean => batch.globalTokens?.[row] === 1;
  const blocks: QueryBlock[] = [];
  for (const sequence of sequences) {
    const { start, seen } = sequence;
    const global = globalRows(batch, sequence);
    for (let from = 0; from < seen; from += size) {
      const first = Math.max(0, Math.min(from - window, seen - span));
      const near = Array.from({ length: Math.min(span, seen - first) }, (_, i) => start + first + i);
      blocks.push({
        queries: Array.from({ length: Math.min(size, seen - from) }, (_, i) => start + from + i),
        keys: [[...global, ...near.filter((row) => !isGlobal(row))]],
      });
    }
  }
  return planBlocks(blocks, (query, key) => Math.abs(query - key) > window && !isGlobal(key));
}

/** The rows of the global tokens, and a plan by which each of them (by its number) looks at its whole sequence. */
interface GlobalPlan {
  readonly rows: Int32Array;
  readonly plan: BlockPlan;
}

function planGlobal(batch: EncoderBatch): GlobalPlan {
  const rows: number[] = [];
  const blocks: QueryBlock[] = [];
  for (const sequence of attendedSequences(batch)) {
    const global = globalRows(batch, sequence);
    if (global.length === 0) continue;
    const { start, seen } = sequence;
    blocks.push({
      queries: global.map((_, i) => rows.length + i),
      keys: [Array.from({ length: seen }, (_, i) => start + i)],
    });
    rows.push(...global);
  }
  return { rows: Int32Array.from(rows), plan: planBlocks(blocks) };
}

/** True where a kernel that knows no global tokens computes the same: there are none, or every window is the sequence. */
function isPlain({ offsets, visible }: EncoderBatch, window: number, globals: number): boolean {
  if (visible !== undefined) return false;
  return globals === 0 || offsets.every((end, i) => i === 0 || end - offsets[i - 1] - 1 <= window);
}

/**
 * Sliding-window attention with global tokens (`batch.globalTokens`), which have projections of their own. Tokens that
 * cannot be looked at look at nothing. Time and memory grow with length x (window + global tokens).
 */
export const longformer = defineSlot({
  schema,
  bind({ heads, headSize, window, dropout: rate, bias }, hiddenSize) {
    const inner = innerSize("longformer", heads, headSize, hiddenSize);
    return {
      matrices: [
        { name: "queryKeyValue", outputs: 3 * inner, inputs: hiddenSize, bias },
        { name: "globalQuery", outputs: inner, inputs: hiddenSize, bias },
        { name: "globalKeyValue", outputs: 2 * inner, inputs: hiddenSize, bias },
        { name: "output", outputs: hiddenSize, inputs: inner, bias, residual: true },
      ],
      forward(x, { linear }, { batch, offsets, training, seed, once }) {
        const dropout = training ? rate : 0;
        const { rows, plan } = once("longformer global", () => planGlobal(batch));
        const local = (): Tensor => {
          const qkv = linear("queryKeyValue", x);
          const options = { heads, dropout, seed: seed("attention") };
          if (isPlain(batch, window, rows.length)) return selfAttention(qkv, offsets, { ...options, window });
          const [q, k, v] = splitColumns(qkv, 3);
          return attendBlocks(q, k, v, [once(`longformer ${window}`, () => planWindows(batch, window))], options);
        };
        if (rows.length === 0) return linear("output", local());
        const [k, v] = splitColumns(linear("globalKeyValue", x), 2);
        const asking = linear("globalQuery", take(x, tensor(rows)));
        const global = attendBlocks(asking, k, v, [plan], { heads, dropout, seed: seed("global attention") });
        const places = Int32Array.from({ length: x.shape[0] }, (_, i) => i);
        rows.forEach((row, i) => {
          places[row] = x.shape[0] + i;
        });
        return linear("output", take(concat([local(), global], 0), tensor(places)));
      },
      plan(x, { linear, builder, onlyFor }) {
        onlyFor(({ globalTokens }) => globalTokens?.includes(1) !== true);
        return linear("output", builder.attention(linear("queryKeyValue", x), { heads, window }));
      },
    };
  },
});
