import { expect, test } from "vitest";
import { randomBlocks } from "./random-blocks.js";

test("blocks are those that transformers chooses in training", () => {
  const general = { blocks: 10, blockSize: 8, count: 2, heads: 2, seed: 3, maxPositions: 128 };
  expect(JSON.stringify(randomBlocks(general))).toBe(
    "[[[6,4],[5,7],[7,5],[2,7],[3,2],[2,4],[5,4],[1,5]],[[6,4],[5,4],[5,6],[6,7],[1,7],[3,2],[3,2],[1,2]]]",
  );
  // 1024 tokens: the paper's own plan, one head after the other.
  const paper = { blocks: 16, blockSize: 64, count: 3, heads: 1, seed: 1, maxPositions: 1024 };
  expect(JSON.stringify(randomBlocks(paper))).toBe(
    "[[[5,6,7],[5,11,7],[13,7,9],[7,6,9],[11,3,1],[11,13,12],[5,4,9],[10,12,1],[12,1,7],[3,7,5],[8,1,9],[7,3,4],[10,4,13],[12,1,14]]]",
  );
  const larger = { blocks: 8, blockSize: 128, count: 1, heads: 2, seed: 0, maxPositions: 2048 };
  expect(JSON.stringify(randomBlocks(larger))).toBe("[[[5],[4],[7],[2],[2],[1]],[[6],[4],[1],[2],[2],[3]]]");
});

test("no random blocks, and every choice keeps away from the neighbours", () => {
  const options = { blocks: 12, blockSize: 4, count: 2, heads: 3, seed: 9, maxPositions: 48 };
  for (const choices of randomBlocks(options)) {
    expect(choices).toHaveLength(10);
    choices.forEach((chosen, i) => {
      expect(new Set(chosen).size).toBe(2);
      for (const other of chosen) expect([0, i, i + 1, i + 2]).not.toContain(other);
    });
  }
  expect(randomBlocks({ ...options, count: 0 })[2]).toEqual(Array.from({ length: 10 }, () => []));
});
