import { noGrad, scope } from "@cloze/tensor";
import { expect, test } from "vitest";
import { wordModel, wordTokenizer } from "../../../test/tiny-models.js";
import { packSequences } from "../../data/packed-batch.js";
import { createAnalyzer } from "../lexical/analyzer.js";
import { ceqeWeights } from "./ceqe.js";
import { wordStates } from "./word-states.js";

const tokenizer = wordTokenizer("cat dog bird the", 40);
const model = wordModel(tokenizer, { layers: 2 });

test("states of words: means of pieces of the last layer but one, in batches or alone, long texts in chunks", () => {
  const texts = ["the cat, catdog", "bird", "", "cat dog bird cat dog bird cat"];
  const analyze = createAnalyzer({ stopWords: "english" });
  const all = wordStates(model, tokenizer, texts, { analyze, maxLength: 9 });
  expect(all.map(({ terms }) => terms)).toEqual([
    ["cat", "catdog"],
    ["bird"],
    [],
    ["cat", "dog", "bird", "cat", "dog", "bird", "cat"],
  ]);
  const { ids, wordIds } = tokenizer.encode(texts[0]);
  const plain = noGrad(() =>
    scope(() => model.encoder.forward(packSequences([{ ids }]), { hiddenStates: true }).hiddenStates?.[1].toArray()),
  ) as number[][];
  const last = wordIds.reduce((most: number, word) => Math.max(most, word ?? 0), 0);
  const rows = plain.filter((_, i) => wordIds[i] === last);
  expect(rows.length).toBeGreaterThan(1);
  all[0].vectors[1].forEach((value, h) => {
    expect(value).toBeCloseTo(rows.reduce((sum, row) => sum + row[h], 0) / rows.length, 5);
  });
  texts.forEach((text, i) => {
    const [alone] = wordStates(model, tokenizer, [text], { analyze, maxLength: 9, tokenBudget: 1 });
    alone.vectors.forEach((vector, w) => {
      vector.forEach((value, h) => {
        expect(value).toBeCloseTo(all[i].vectors[w][h], 5);
      });
    });
  });
  const [query, ...documents] = all;
  const found = documents.filter(({ terms }) => terms.length > 0).map((one) => ({ ...one, score: 1 }));
  const weights = ceqeWeights(query.vectors, found);
  expect([...weights.keys()].sort()).toEqual(["bird", "cat", "dog"]);
});
