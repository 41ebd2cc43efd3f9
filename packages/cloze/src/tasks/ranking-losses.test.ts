import { grad, parameter, type Tensor, tensor } from "@cloze/tensor";
import fc from "fast-check";
import { expect, test } from "vitest";
import { normalizedDiscountedGain } from "../metrics/discounted-gain.js";
import { lambdaWeights, type RankingLoss, rankingLosses } from "./ranking-losses.js";

const names = Object.keys(rankingLosses) as RankingLoss[];
const value = (name: RankingLoss, scores: readonly number[], grades: readonly number[]) =>
  rankingLosses[name](tensor(Float32Array.from(scores)), grades)?.item();
const list = fc
  .integer({ min: 2, max: 6 })
  .chain((count) =>
    fc.tuple(
      fc.uniqueArray(fc.integer({ min: -20, max: 20 }), { minLength: count, maxLength: count }),
      fc.array(fc.integer({ min: 0, max: 2 }), { minLength: count, maxLength: count }),
    ),
  )
  .map(([scores, grades]) => ({ scores: scores.map((score) => score / 10), grades }))
  .filter(({ grades }) => new Set(grades).size > 1);

test("a constant on all scores changes nothing", () => {
  fc.assert(
    fc.property(list, fc.constantFrom(...names), ({ scores, grades }, name) => {
      const moved = scores.map((score) => score + 3);
      expect(value(name, moved, grades)).toBeCloseTo(value(name, scores, grades) as number, 3);
    }),
  );
});

test("LambdaRank's weight of a pair is what NDCG changes by when the two change places", () => {
  fc.assert(
    fc.property(list, ({ scores, grades }) => {
      const ndcg = (by: readonly number[]) => normalizedDiscountedGain(grades, by, { gain: "exponential" });
      for (let i = 0; i < grades.length; i++) {
        for (let j = 0; j < grades.length; j++) {
          if (grades[i] <= grades[j]) continue;
          const swapped = scores.slice();
          [swapped[i], swapped[j]] = [scores[j], scores[i]];
          const [weight] = lambdaWeights(
            scores,
            grades,
            { better: Int32Array.of(i), worse: Int32Array.of(j) },
            "lambda-rank",
          );
          expect(weight).toBeCloseTo(Math.abs(ndcg(swapped) - ndcg(scores)), 5);
        }
      }
    }),
  );
});

test("each by its formula", () => {
  const [scores, grades] = [
    [1, 0.5, -0.5],
    [0, 2, 1],
  ];
  const e = Math.exp;
  const soft = (values: readonly number[]) => {
    const total = values.reduce((sum, one) => sum + e(one), 0);
    return values.map((one) => e(one) / total);
  };
  const pairs = [
    [1, 0],
    [1, 2],
    [2, 0],
  ];
  const differences = pairs.map(([i, j]) => scores[i] - scores[j]);
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;
  const wanted = soft(grades);
  // Best first: scores 0.5, -0.5, 1.
  const log = (...values: number[]) => Math.log(values.reduce((sum, one) => sum + e(one), 0));
  const steps = [0.5 - log(0.5, -0.5, 1), -0.5 - log(-0.5, 1), 0];
  // Ranks by score: 1, 2, 3.
  const d = (rank: number) => Math.log2(1 + rank);
  const most = 3 / d(1) + 1 / d(2);
  const [g, ranks] = [
    [0, 3 / most, 1 / most],
    [1, 2, 3],
  ];
  const lambda = ([i, j]: number[]) => Math.abs(1 / d(ranks[i]) - 1 / d(ranks[j])) * Math.abs(g[i] - g[j]);
  const near = ([i, j]: number[]) => {
    const apart = Math.abs(ranks[i] - ranks[j]);
    return Math.abs(1 / d(apart) - 1 / d(apart + 1)) * Math.abs(g[i] - g[j]);
  };
  const weighed = (weight: (pair: number[]) => number) =>
    mean(pairs.map((pair, p) => weight(pair) * Math.log2(1 + e(-differences[p]))));
  const expected: Record<RankingLoss, number> = {
    pairwise: mean(differences.map((one) => Math.log(1 + e(-one)))),
    hinge: mean(differences.map((one) => Math.max(0, 1 - one))),
    listwise: -(2 * Math.log(soft(scores)[1]) + Math.log(soft(scores)[2])) / 3,
    "list-net": -soft(scores).reduce((sum, one, i) => sum + wanted[i] * Math.log(one), 0),
    "list-mle": -steps.reduce((a, b) => a + b),
    // Weights 3, 1, 0, of mean 1.
    "p-list-mle": -(3 * steps[0] + steps[1]) * (3 / 4),
    "lambda-rank": weighed(lambda),
    "ndcg-loss2": weighed(near),
    "ndcg-loss2++": weighed((pair) => 10 * near(pair) + lambda(pair)),
  };
  for (const name of names) expect(value(name, scores, grades), name).toBeCloseTo(expected[name], 4);
});

test("going down the gradient puts candidates in order; a query without an order says nothing", () => {
  for (const name of names) {
    expect(value(name, [1, 2, 3], [0, 0, 0])).toBeUndefined();
    const scores = parameter(tensor([0.3, 0.2, 0.1]));
    const grades = [0, 1, 2];
    for (let step = 0; step < 60; step++) {
      const [slope] = grad([rankingLosses[name](scores, grades) as Tensor], [scores]);
      const [now, down] = [scores, slope].map((one) => one.toTypedArray() as Float32Array);
      scores.storage.backend.write(
        now.map((one, i) => one - 2 * down[i]),
        scores.pointer,
      );
    }
    const [a, b, c] = scores.toTypedArray();
    expect([a < b, b < c], name).toEqual([true, true]);
  }
});
