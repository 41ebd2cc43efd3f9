import { scope } from "@cloze/tensor";
import { afterAll, expect, test } from "vitest";
import { wordModel, wordTokenizer } from "../../../test/tiny-models.js";
import { createKernelScorer } from "./kernel-scorer.js";
import { bestPlaces } from "./key-blocks.js";
import { blockGains, kernelScorerLoss, trainKernelScorer } from "./train-kernel-scorer.js";

const vocabulary = ["cat", "dog", "bird", "stone", "the", "a"];
const tokenizer = wordTokenizer(vocabulary.join(" "));
const model = wordModel(tokenizer, { head: { type: "none" }, initializerRange: 0.3, dropout: 0.1 });
afterAll(() => model.dispose());

test("the kernel scorer: its numbers by hand, one by one or together, and the order that a teacher shows", async () => {
  const cheap = createKernelScorer(model, tokenizer, { size: 8 });
  const blocks = ["the cat", "a stone a stone bird", "dog"];
  const together = cheap.scorer("the dog", blocks);
  for (const [i, block] of blocks.entries()) expect(cheap.scorer("the dog", [block])[0]).toBeCloseTo(together[i], 4);

  const ids = (one: string) => tokenizer.encodeIds(one, { addSpecialTokens: false });
  const vectorsOf = (one: string): number[][] => {
    const hidden = scope(
      () =>
        model.encoder
          .forward(
            {
              ids: Int32Array.from(ids(one)),
              segments: new Int32Array(ids(one).length),
              positions: Int32Array.from(ids(one), (_, i) => i),
              offsets: Int32Array.of(0, ids(one).length),
            },
            { depth: 0 },
          )
          .hidden.toArray() as number[][],
    );
    const [weight, bias] = ["convolution.weight", "convolution.bias"].map(
      (name) => cheap.parameters.get(name)?.toTypedArray() as Float32Array,
    );
    return hidden.map((_, t) => {
      const window = [0, 1, 2].flatMap((step) => hidden[t + step] ?? new Array(16).fill(0));
      const row = Array.from({ length: 8 }, (_, o) =>
        Math.max(0, bias[o] + window.reduce((total, x, i) => total + x * weight[o * 48 + i], 0)),
      );
      const length = Math.sqrt(row.reduce((total, x) => total + x * x, 1e-12));
      return row.map((x) => x / length);
    });
  };
  const [asked, found] = [vectorsOf("the dog"), vectorsOf("the cat")];
  const weights = cheap.parameters.get("score.weight")?.toTypedArray() as Float32Array;
  const byHand = [1, 0.9, 0.7, 0.5, 0.3, 0.1, -0.1, -0.3, -0.5, -0.7, -0.9].reduce((score, centre, m) => {
    const k = asked.reduce((total, q) => {
      const count = found.reduce((n, d) => {
        const cosine = q.reduce((dot, x, c) => dot + x * d[c], 0);
        return n + Math.exp(-((cosine - centre) ** 2) / 0.02);
      }, 0);
      return total + Math.log(Math.max(1e-4, count));
    }, 0);
    return score + weights[m] * k;
  }, 0);
  expect(together[0]).toBeCloseTo(byHand, 2);

  expect(blockGains([0.5, 3, -1, 2], 2)).toEqual([0, 2, 0, 1]);
  const rows = [
    { query: "cat", blocks: ["the stone", "cat bird", "a dog"], teacher: [-1, 2, 0] },
    { query: "dog", blocks: ["cat", "the stone bird", "dog", "a"], teacher: [0, -1, 3, -2] },
  ];
  const lossOf = (loss?: "kl" | "mse" | "cross-entropy") =>
    scope(() =>
      rows.reduce(
        (total, { query, blocks: some, teacher }) =>
          total + (kernelScorerLoss(cheap.scores(query, some), teacher, { loss })?.item() ?? 0),
        0,
      ),
    );
  const before = lossOf();
  for (const loss of ["kl", "mse", "cross-entropy"] as const) expect(lossOf(loss)).toBeGreaterThan(0);
  await trainKernelScorer(cheap, rows, { steps: 15, learningRate: 0.05, seed: 2 });
  expect(lossOf()).toBeLessThan(before);
  for (const { query, blocks: some, teacher } of rows)
    expect(bestPlaces(cheap.scorer(query, some), 1)).toEqual(bestPlaces(teacher, 1));
  await expect(trainKernelScorer(cheap, [{ query: "a", blocks: ["b"], teacher: [1] }])).rejects.toThrow(
    /several blocks/,
  );
  cheap.dispose();
});
