import { grad, noGrad, scope, type Tensor } from "@cloze/tensor";
import fc from "fast-check";
import { expect, test } from "vitest";
import { wordModel, wordTokenizer } from "../../../test/tiny-models.js";
import { createImpactIndex } from "../learned-sparse/impact-index.js";
import { quantizeWeights } from "../learned-sparse/quantize-weights.js";
import { createTermNumbers, deepctFrequencies, mergeOccurrences, mergePassageFrequencies } from "./term-impacts.js";
import { createTermWeighter, termWeightings } from "./term-weighter.js";
import { tildeExpansion, tildeLogits, tildeLoss, tildeScore, tildeTexts, tildeTokens } from "./tilde.js";
import { termRecall, trainTermWeighter } from "./train-term-weighter.js";

const tokenizer = wordTokenizer("cat dog bird stone the", 50);
const model = (architecture: "Model" | "ForMaskedLM" = "Model") => wordModel(tokenizer, { architecture });

test("frequencies: rounded, by square root, largest or first of occurrences, of passages", () => {
  expect([...mergeOccurrences(["a", "b", "a"], [1, 2, 3], "max")]).toEqual([
    ["a", 3],
    ["b", 2],
  ]);
  expect(mergeOccurrences(["a", "b", "a"], [1, 2, 3], "first").get("a")).toBe(1);
  expect(mergeOccurrences(["a", "b", "a"], [1, 2, 3], "sum").get("a")).toBe(4);
  const weights = new Map([
    ["a", 0.25],
    ["b", -1],
    ["c", 0.004],
  ]);
  expect([...deepctFrequencies(weights)]).toEqual([["a", 25]]);
  expect([...deepctFrequencies(weights, { squareRoot: true })]).toEqual([
    ["a", 50],
    ["c", 6],
  ]);
  const a = new Map([["a", 6]]);
  const both = [a, new Map([["a", 3]])];
  expect(mergePassageFrequencies(both, "sum").get("a")).toBe(9);
  expect(mergePassageFrequencies(both, "max").get("a")).toBe(6);
  expect(mergePassageFrequencies(both).get("a")).toBe(4);
  expect(mergePassageFrequencies(both, "decay").get("a")).toBe(7);
  expect(mergePassageFrequencies(both, "decay-avg").get("a")).toBe(5);
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.integer({ min: 1, max: 100 })),
      fc.integer({ min: 1, max: 9 }),
      (frequencies, passages) => {
        const passage = new Map(Object.entries(frequencies));
        for (const how of ["avg", "max", "decay-avg"] as const)
          expect(mergePassageFrequencies(new Array(passages).fill(passage), how)).toEqual(passage);
      },
    ),
  );
  expect(Object.fromEntries(termRecall([["a", "a", "b"], ["a"]]))).toEqual({ a: 1, b: 0.5 });
});

test.each(termWeightings)("%s: batches as one by one, words in pieces, the index as inner products", (type) => {
  const weighter = createTermWeighter(model(), tokenizer, { type, stopWords: "english" });
  const texts = ["the cat, Catdog stone cat", "bird", "", "the", "dog bird cat"];
  const words = weighter.words(texts[0]);
  expect(words.terms).toEqual(["cat", "catdog", "stone", "cat"]);
  const together = weighter.weigh(texts);
  expect(together.map(({ size }) => size)).toEqual([3, 1, 0, 0, 3]);
  const plain = noGrad(() => weighter.weights([words]).toTypedArray()) as Float32Array;
  expect(together[0].get("cat")).toBeCloseTo(type === "deepct" ? Math.max(plain[0], plain[3]) : plain[0], 5);
  for (const [i, text] of texts.entries())
    for (const [term, weight] of weighter.weigh([text], 1)[0])
      expect(weight).toBeCloseTo(together[i].get(term) ?? 9, 5);
  const numbers = createTermNumbers();
  const vectors = together.map((weights) => quantizeWeights(numbers.vector(weights), 0.5));
  const query = weighter.terms("The dog cat cat unknown");
  const scores = createImpactIndex(vectors).scores(numbers.query(query));
  together.forEach((weights, d) => {
    const dense = query.map((term) => Math.min(255, Math.round(Math.max(0, weights.get(term) ?? 0) * 512)));
    expect(scores[d]).toBe(dense.reduce((sum, one) => sum + one, 0));
  });
  weighter.dispose();
});

test("DeepCT learns the share of queries with a word, DeepImpact which document wins", async () => {
  const texts = ["cat stone", "stone dog", "bird stone cat"];
  const recall = new Map([
    ["cat", 1],
    ["dog", 0.5],
  ]);
  const deepct = createTermWeighter(model(), tokenizer, { type: "deepct" });
  await trainTermWeighter(
    deepct,
    texts.map((text) => ({ text, recall })),
    { steps: 60, learningRate: 1e-2 },
  );
  const [first, second] = deepct.weigh(texts);
  expect(first.get("cat")).toBeCloseTo(1, 0);
  expect(Math.abs((second.get("dog") ?? 9) - 0.5)).toBeLessThan(0.2);
  expect(Math.abs(first.get("stone") ?? 9)).toBeLessThan(0.2);
  const deepimpact = createTermWeighter(model(), tokenizer, { type: "deepimpact" });
  const rows = [
    { query: "stone", positive: "cat stone", negative: "dog stone" },
    { query: "stone bird", positive: "bird stone cat", negative: "dog bird" },
  ];
  const run = await trainTermWeighter(deepimpact, rows, { steps: 40, learningRate: 1e-2 });
  expect(run.loss).toBeLessThan(0.3);
  const [good, bad] = deepimpact.weigh(["cat stone", "dog stone"]);
  expect(good.get("stone")).toBeGreaterThan(bad.get("stone") ?? 9);
  await expect(trainTermWeighter(deepct, [])).rejects.toThrow(/no rows/);
  const mixed = [...rows, { text: "cat", recall }] as unknown as typeof rows;
  await expect(trainTermWeighter(deepct, mixed)).rejects.toThrow(/different losses/);
  for (const one of [deepct, deepimpact]) one.dispose();
});

test("TILDE: likelihoods by the formula, no reading of queries at alpha 1, expansions, the loss", () => {
  const language = model("ForMaskedLM");
  let calls = 0;
  const counted = {
    ...language,
    forward: (...given: Parameters<typeof language.forward>) => {
      calls++;
      return language.forward(...given);
    },
  };
  const texts = ["cat stone", "bird dog dog", "stone"];
  const documents = tildeTexts(counted, tokenizer, texts);
  const before = calls;
  const query = tildeTokens(tokenizer, "dog cat");
  const logits = noGrad(() => tildeLogits(language, tokenizer, texts).toArray()) as number[][];
  const log10 = (x: number) => Math.log10(1 / (1 + Math.exp(-x)));
  for (const [d, document] of documents.entries()) {
    const plain = [...query].reduce((sum, id) => sum + log10(logits[d][id]), 0);
    expect(tildeScore(query, document)).toBeCloseTo(plain, 4);
  }
  expect(calls).toBe(before);
  const [asked] = tildeTexts(counted, tokenizer, ["dog cat"]);
  const [alone] = tildeTexts(language, tokenizer, [texts[1]], { tokenBudget: 1 });
  const back = [...documents[1].ids].reduce((sum, id) => sum + asked.likelihoods[id], 0) / documents[1].ids.length;
  expect(tildeScore(asked, documents[1], 0)).toBeCloseTo(back, 5);
  expect(tildeScore(asked, alone, 0.5)).toBeCloseTo((tildeScore(query, documents[1]) + back) / 2, 4);
  expect(() => tildeScore(query, documents[0], 0.5)).toThrow(/has read/);
  const all = tildeExpansion(documents[0], { top: 1000 });
  expect(all).toHaveLength(tokenizer.vocabularySize - new Set(documents[0].ids).size);
  expect(documents[0].likelihoods[all[0]]).toBe(Math.max(...all.map((id) => documents[0].likelihoods[id])));
  expect(tildeExpansion(documents[0], { top: 3 }).length).toBeLessThanOrEqual(3);
  expect(() => tildeTexts(model(), tokenizer, texts)).toThrow(/masked-language/);
  // The loss by hand; its gradient goes to the encoder.
  const targets = [texts[1], texts[0], texts[2]].map((text) => tildeTokens(tokenizer, text));
  const plain = logits.map((row, d) =>
    row.reduce((sum, x, id) => sum - Math.log(1 / (1 + Math.exp(targets[d].includes(id) ? -x : x))), 0),
  );
  scope(() => {
    const loss = tildeLoss(tildeLogits(language, tokenizer, texts), targets);
    expect(loss.item()).toBeCloseTo(plain.reduce((sum, one) => sum + one, 0) / 6, 3);
    const [slope] = grad([loss], [language.parameters.get("encoder.layers.0.mixer.output.weight") as Tensor]);
    expect((slope.toTypedArray() as Float32Array).some((value) => value !== 0)).toBe(true);
  });
});
