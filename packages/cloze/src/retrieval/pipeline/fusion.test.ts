import { expect, test } from "vitest";
import { chooseFusionWeights, fuseRankings, fuseRetrievers } from "./fusion.js";
import { pipeline } from "./retriever.js";

const list = (...pairs: [string, number][]) => pairs.map(([id, score]) => ({ id, score }));

test("reciprocal rank and standardised scores, by hand", () => {
  const [first, second] = [list(["a", 9], ["b", 1]), list(["b", 0.2], ["c", 0.1])];
  const ranks = fuseRankings([first, second], { method: "reciprocal-rank" });
  expect(ranks.map(({ id }) => id)).toEqual(["b", "a", "c"]);
  expect(ranks[0].score).toBeCloseTo(1 / 62 + 1 / 61, 12);
  // Over three documents, the third as the last of a list that lacks it: 1.4142, -0.7071 twice.
  const fused = fuseRankings([first, second], { weights: [0.25, 0.75] });
  expect(fused.map(({ id }) => id)).toEqual(["b", "a", "c"]);
  expect(fused.map(({ score }) => score)).toEqual(
    [0.883883, -0.176777, -Math.SQRT1_2].map((score) => expect.closeTo(score, 5)),
  );
  expect(fuseRankings([[], second])[0].id).toBe("b");
  expect(() => fuseRankings([first], { weights: [1, 2] })).toThrow(/one weight/);
});

test("weights are chosen by what they score", () => {
  const good = [list(["right", 2], ["wrong", 1])];
  const bad = [list(["wrong", 2], ["right", 1])];
  const measure = (rankings: readonly (readonly { id: string }[])[]) => (rankings[0][0].id === "right" ? 1 : 0);
  expect(chooseFusionWeights([good, bad], measure)).toEqual({ weights: [0.5, 0.5], score: 1 });
});

test("retrievers and rerankers make a pipeline", async () => {
  const fixed = (...pairs: [string, number][]) => ({
    name: "fixed",
    search: async (queries: readonly string[]) => queries.map(() => list(...pairs)),
  });
  const reverse = {
    name: "reverse",
    rerank: async (_: string, ranking: readonly { id: string; score: number }[]) => [...ranking].reverse(),
  };
  const both = pipeline(fuseRetrievers([fixed(["a", 2], ["b", 1]), fixed(["a", 5], ["c", 1])]), reverse);
  expect(both.name).toBe("fixed + fixed > reverse");
  const [ranking] = await both.search(["q"], { depth: 2 });
  expect(ranking.map(({ id }) => id)).toEqual(["c", "b"]);
});
