import fc from "fast-check";
import { expect, test } from "vitest";
import { topScores } from "./top-scores.js";

test("the heap finds what sorting finds, ties in order", () => {
  const scores = fc.array(fc.constantFrom(0, 1, 2, 2.5, -1, Number.NaN), { maxLength: 40 });
  fc.assert(
    fc.property(scores, fc.integer({ min: 0, max: 12 }), fc.boolean(), (values, k, odd) => {
      const keep = odd ? (index: number) => index % 2 === 1 : undefined;
      const plain = values
        .map((score, index) => ({ index, score }))
        .filter(({ score, index }) => score > 0 && (keep === undefined || keep(index)))
        .sort((a, b) => b.score - a.score || a.index - b.index)
        .slice(0, k);
      expect(topScores(values, k, { floor: 0, keep })).toEqual(plain);
    }),
  );
});
