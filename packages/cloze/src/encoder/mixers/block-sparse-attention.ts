// BigBird's attention (arXiv 2007.14062): blocks that look at their neighbours, at the first and the last block, and at some
// blocks by chance.
import { add, selfAttention, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../batch.js";
import { defineSlot } from "../part.js";
import { weightSchema } from "../weights/index.js";
import { innerSize } from "./attention-size.js";
import { attendBlocks, type BlockPlan, planBlocks, type QueryBlock } from "./block-attention.js";
import { type AttendedSequence, attendComposed, attendedSequences, splitColumns } from "./composed-attention.js";
import { randomBlocks } from "./random-blocks.js";

const schema = z.strictObject({
  type: z.literal("block-sparse-attention"),
  heads: z.int().min(1),
  /** Default: hiddenSize / heads. */
  headSize: z.int().min(1).optional(),
  /** Tokens of a block. */
  blockSize: z.int().min(1).default(64),
  /** Blocks that a block looks at by chance. */
  randomBlocks: z.int().min(0).default(3),
  /** Of the choice of these; the layers of a model take different ones. */
  seed: z.int().min(0).default(0),
  /** False: the choice is for training, and otherwise the first block takes the places (as transformers has it). */
  randomInEvaluation: z.boolean().default(false),
  /** Share of the probabilities to drop in training where all look at all; blocks drop none, as in the paper's code. */
  dropout: z.number().min(0).lt(1).default(0.1),
  bias: z.boolean().default(true),
  /** Of the output, where it is another. */
  outputBias: z.boolean().optional(),
  weights: z.strictObject({ queryKeyValue: weightSchema.optional(), output: weightSchema.optional() }).optional(),
});
type Config = z.output<typeof schema>;

/** A sequence that is long enough for blocks. */
interface BlockedSequence extends AttendedSequence {
  readonly blocks: number;
}

interface SparsePlan {
  /** Sequences in which all look at all. */
  readonly full?: BlockPlan;
  readonly sparse: readonly BlockPlan[];
}

/** For each head the blocks that the blocks 1 to blocks - 2 look at by chance. */
type Choices = (blocks: number) => number[][][];

const range = (start: number, end: number): number[] =>
  Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);

/** The blocks that an inner block looks at whatever the choice; the first block is the first of them. */
function fixedBlocks(block: number, blocks: number): number[] {
  const near = [block - 1, block, block + 1];
  return [...(block === 1 ? [] : [0]), ...near, ...(block === blocks - 2 ? [] : [blocks - 1])];
}

/** Tokens of the longest sequence in which all look at all. */
const fullLength = ({ blockSize, randomBlocks: count }: Pick<Config, "blockSize" | "randomBlocks">): number =>
  (5 + 2 * count) * blockSize;

const longestOf = (offsets: Int32Array): number =>
  offsets.reduce((most, end, s) => Math.max(most, s === 0 ? 0 : end - offsets[s - 1]), 0);

/** @param choices undefined: the first block takes the places */
function planSparse(
  batch: EncoderBatch,
  { blockSize, randomBlocks: count }: Config,
  choices: Choices | undefined,
): SparsePlan {
  const full: QueryBlock[] = [];
  const outer: QueryBlock[] = [];
  const inner: QueryBlock[] = [];
  const rowsOf = ({ start, seen }: BlockedSequence, block: number): number[] =>
    range(start + block * blockSize, start + Math.min(seen, (block + 1) * blockSize));
  for (const sequence of attendedSequences(batch)) {
    const { start, end, seen, length } = sequence;
    const padded = Math.max(length, batch.paddedLength ?? 0);
    const keys = [range(start, start + seen)];
    if (padded <= fullLength({ blockSize, randomBlocks: count })) {
      full.push({ queries: range(start, end), keys });
      continue;
    }
    const blocks = Math.ceil(padded / blockSize);
    const blocked = { ...sequence, blocks };
    const ends = [0, blocks - 1].map((block) => ({ queries: rowsOf(blocked, block), keys }));
    outer.push(...ends.filter(({ queries }) => queries.length > 0));
    const byHead = choices?.(blocks) ?? [range(0, blocks - 2).map((): number[] => [])];
    for (let block = 1; block < blocks - 1; block++) {
      const queries = rowsOf(blocked, block);
      if (queries.length === 0) break;
      const fixed = fixedBlocks(block, blocks);
      inner.push({
        queries,
        keys: byHead.map((chosen) => [...fixed, ...chosen[block - 1]].flatMap((other) => rowsOf(blocked, other))),
        ...(choices === undefined ? { repeated: { keys: blockSize, times: 1 + count } } : {}),
      });
    }
  }
  return {
    ...(full.length > 0 ? { full: planBlocks(full) } : {}),
    sparse: [outer, inner].filter(({ length }) => length > 0).map((blocks) => planBlocks(blocks)),
  };
}

/**
 * Block-sparse attention. The first and the last block look at all and are seen by all. A sequence of at most
 * (5 + 2 randomBlocks) blocks is attended in full; the blocks of the others count from `batch.paddedLength`, if that is
 * given. Tokens of blocks that cannot be looked at look at nothing. Time and memory grow with the length.
 */
export const blockSparseAttention = defineSlot({
  schema,
  bind(config, hiddenSize, { maxPositions }) {
    const { heads, headSize, blockSize, randomBlocks: count, seed: chance, dropout: rate, bias, outputBias } = config;
    const inner = innerSize("block-sparse-attention", heads, headSize, hiddenSize);
    const known = new Map<number, number[][][]>();
    const drawn: Choices = (blocks) => {
      const choices =
        known.get(blocks) ?? randomBlocks({ blocks, blockSize, count, heads, seed: chance, maxPositions });
      known.set(blocks, choices);
      return choices;
    };
    const key = [blockSize, count, heads].join();
    const fullLimit = fullLength(config);
    return {
      matrices: [
        { name: "queryKeyValue", outputs: 3 * inner, inputs: hiddenSize, bias },
        { name: "output", outputs: hiddenSize, inputs: inner, bias: outputBias ?? bias, residual: true },
      ],
      forward(x, { linear }, { batch, offsets, training, seed, once }) {
        const random = training || config.randomInEvaluation;
        const { full, sparse } = once(`block-sparse ${key} ${random ? chance : "first"}`, () =>
          planSparse(batch, config, random ? drawn : undefined),
        );
        const qkv = linear("queryKeyValue", x);
        const options = { heads, dropout: training ? rate : 0, seed: seed("attention") };
        const mixed = (): Tensor => {
          if (sparse.length === 0 && batch.visible === undefined) return selfAttention(qkv, offsets, options);
          const [q, k, v] = splitColumns(qkv, 3);
          if (sparse.length === 0) return attendComposed(q, k, v, batch, options);
          const blocks = attendBlocks(q, k, v, sparse, { heads });
          return full === undefined ? blocks : add(blocks, attendBlocks(q, k, v, [full], options));
        };
        return linear("output", mixed());
      },
      plan(x, { linear, builder, onlyFor }) {
        onlyFor(({ offsets, paddedLength = 0 }) => Math.max(paddedLength, longestOf(offsets)) <= fullLimit);
        return linear("output", builder.attention(linear("queryKeyValue", x), { heads }));
      },
    };
  },
});
