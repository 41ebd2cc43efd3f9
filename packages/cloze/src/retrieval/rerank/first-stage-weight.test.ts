import fc from "fast-check";
import { expect, test } from "vitest";
import type { Ranking } from "../evaluation/ranking.js";
import { chooseFirstStageWeight, reorder } from "./first-stage-weight.js";

const ranking = (scores: readonly number[]): Ranking => scores.map((score, i) => ({ id: String(i), score }));
const order = (found: Ranking): string => found.map(({ id }) => id).join("");

test("at 0 the new scores count alone, at 1 those before, and what lies behind the depth stays there", () => {
  const before = ranking([9, 8, 7, 6]);
  expect(order(reorder(before, 3, [0, 1, 2], 0))).toBe("2103");
  expect(order(reorder(before, 3, [0, 1, 2], 1))).toBe("0123");
  expect(reorder(before, 3, [0, 1, 2], 0).map(({ score }) => score)).toEqual([2, 1, 0, -1]);
});

test("chooses the weight that scores best, and trusts the first stage where it makes no difference", () => {
  const before = [ranking([3, 2, 1])];
  const after = [reorder(before[0], 3, [0, 5, 1], 0)];
  const first =
    (wanted: string) =>
    ([found]: readonly Ranking[]): number =>
      Number(found[0].id === wanted);
  expect(chooseFirstStageWeight(before, after, () => 1).weight).toBe(1);
  expect(chooseFirstStageWeight(before, after, first("0"))).toMatchObject({ weight: 1, score: 1 });
  const second = chooseFirstStageWeight(before, after, first("1"));
  expect(second.score).toBe(1);
  expect(second.weight).toBeLessThan(1);
  expect(order(second.rankings[0])[0]).toBe("1");
});

test("what it returns is what a reranker with that weight returns", () => {
  const four = fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(four, four, (a, b) => {
      const before = ranking([...a].sort((x, y) => y - x));
      const scores = b.slice(0, 3);
      const chosen = chooseFirstStageWeight(
        [before],
        [reorder(before, 3, scores, 0)],
        ([found]) => Number(found[0].id),
        3,
      );
      expect(order(chosen.rankings[0])).toBe(order(reorder(before, 3, scores, chosen.weight)));
    }),
  );
});
