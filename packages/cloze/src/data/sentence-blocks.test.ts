import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { attentionPairs, blockSequence, fillBlocks, packBlocks } from "./sentence-blocks.js";

const limits = { block: 32, maxBlocks: 64 };
let next = 0;
const sentence = (length: number) => Int32Array.from({ length }, () => ++next);
const lengthsOf = (lengths: readonly number[], how = limits) => {
  const { blocks, droppedTokens } = fillBlocks(lengths.map(sentence), how);
  return [blocks.map(({ length }) => length), droppedTokens];
};

describe("blocks of sentences", () => {
  test.each([
    { lengths: [29], blocks: [29], dropped: 0 },
    { lengths: [30], blocks: [29], dropped: 1 },
    { lengths: [15, 14], blocks: [29], dropped: 0 },
    { lengths: [15, 15], blocks: [15, 15], dropped: 0 },
    { lengths: [80], blocks: [29], dropped: 51 },
    { lengths: [3, 80, 2], blocks: [3, 29, 2], dropped: 51 },
    { lengths: [], blocks: [0], dropped: 0 },
    { lengths: [0, 0], blocks: [0], dropped: 0 },
  ])("$lengths", ({ lengths, blocks, dropped }) => {
    expect(lengthsOf(lengths)).toEqual([blocks, dropped]);
  });

  test("what follows a full document is left out, even where a later sentence would fit", () => {
    expect(lengthsOf([20, 20, 20, 5], { block: 32, maxBlocks: 2 })).toEqual([[20, 20], 25]);
  });

  test("every token stands in its order or is counted as dropped", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 12 }),
        fc.integer({ min: 4, max: 16 }),
        fc.integer({ min: 1, max: 6 }),
        (lengths, block, maxBlocks) => {
          const sentences = lengths.map(sentence);
          const { blocks, droppedTokens } = fillBlocks(sentences, { block, maxBlocks });
          const kept = blocks.flatMap((ids) => [...ids]);
          expect(kept.length + droppedTokens).toBe(sentences.reduce((sum, { length }) => sum + length, 0));
          expect(kept).toEqual([...kept].sort((a, b) => a - b));
          expect(blocks.length).toBeLessThanOrEqual(maxBlocks);
          expect(Math.max(...blocks.map(({ length }) => length))).toBeLessThanOrEqual(block - 3);
        },
      ),
    );
  });

  test("the cost of n tokens in blocks of B is n B + (n / B)^2", () => {
    const words = new Int32Array(29).fill(9);
    const one = Array.from({ length: 64 }, () => blockSequence(words, { clsId: 1, sepId: 2 }));
    const batch = packBlocks([one, one.slice(0, 3)]);
    expect(batch.ids.slice(0, 32)).toEqual(Int32Array.from([1, ...words, 2, 2]));
    expect([...batch.documents]).toEqual([0, 64, 67]);
    expect(Math.max(...batch.positions)).toBe(31);
    expect(attentionPairs(packBlocks([one]))).toBe(2048 * 32 + 64 ** 2);
    expect(2048 ** 2 / attentionPairs(packBlocks([one]))).toBeGreaterThan(60);
    expect(attentionPairs(batch)).toBe(2048 * 32 + 64 ** 2 + 96 * 32 + 9);
  });
});
