import { afterAll, expect, test } from "vitest";
import { uniformEncoder } from "../../encoder/config.js";
import { createModel } from "../../families/index.js";
import { trainWordPiece } from "../../text/index.js";
import { Bm25Index } from "../bm25.js";
import { ceqeWeights, mixQuery } from "./ceqe.js";
import { ceqeRetriever, rm3Retriever } from "./expanding-retrievers.js";
import { createFeedbackExpansion, feedbackExpansions, searchTwice } from "./feedback/index.js";
import { rm3Terms } from "./rm3.js";
import { memoryWordIndex } from "./word-index.js";
import { wordStates } from "./word-states.js";

const texts = ["cat purrs on stone", "cat purrs", "purrs and sleeps", "dog barks", "bird sings on stone"];
const ids = texts.map((_, i) => `d${i}`);
const index = new Bm25Index(texts);
const textOf = (document: number) => texts[document];
const tokenizer = trainWordPiece([...texts, ...texts], { vocabularySize: 120, minFrequency: 1 });
const model = createModel({
  architecture: "Model",
  head: { type: "none" },
  seed: 2,
  config: uniformEncoder({ vocabularySize: tokenizer.vocabularySize, hiddenSize: 16, layers: 2, heads: 2 }),
});
afterAll(() => model.dispose());

test("RM3 finds documents without a word of the query, and is two searches", async () => {
  const options = { feedbackDocuments: 2, feedbackTerms: 3, mostFrequent: 1 };
  const [found] = await rm3Retriever(index, ids, textOf, options).search(["cat"], { depth: 5 });
  expect(found.map(({ id }) => id)).toContain("d2");
  const first = index.search("cat", 2);
  const expanded = rm3Terms(
    ["cat"],
    first.map(({ index: i, score }) => ({ score, terms: index.terms(texts[i]) })),
    (term) => index.postings.frequency(term) / 5,
    options,
  );
  expect(found.map(({ score }) => score)).toEqual(index.search(expanded, 5).map(({ score }) => score));
  expect(await rm3Retriever(index, ids, textOf).search(["nothing", ""], { depth: 5 })).toEqual([[], []]);
});

test("CEQE as a retriever is BM25 with the weights that ceqeWeights gives", async () => {
  const encoder = { model, tokenizer };
  const [found] = await ceqeRetriever(index, ids, textOf, encoder, { feedbackDocuments: 2 }).search(["cat"], {
    depth: 5,
  });
  // More than the two that hold the query's word.
  expect(found.length).toBeGreaterThan(2);
  const first = index.search("cat", 2);
  const [query, ...read] = wordStates(model, tokenizer, ["cat", ...first.map(({ index: i }) => texts[i])]);
  const weights = ceqeWeights(
    query.vectors,
    read.map((one, i) => ({ ...one, score: first[i].score })),
  );
  const plain = index.search(mixQuery(["cat"], weights), 5);
  expect(found).toEqual(plain.map(({ index: i, score }) => ({ id: ids[i], score })));
  expect(await ceqeRetriever(index, ids, textOf, encoder).search(["nothing"], { depth: 5 })).toEqual([[]]);
});

test("a way by its name has the defaults of the library", async () => {
  const encoder = { model, tokenizer };
  const words = memoryWordIndex(index, ids, textOf);
  const library = { rm3: rm3Retriever(index, ids, textOf), ceqe: ceqeRetriever(index, ids, textOf, encoder) };
  for (const { type } of feedbackExpansions) {
    const named = searchTwice(words, createFeedbackExpansion({ type }, encoder));
    const same = library[type as keyof typeof library];
    expect(named.name).toBe(same.name);
    const asked = [["cat", "stone bird"], { depth: 5 }] as const;
    expect(await named.search(...asked)).toEqual(await same.search(...asked));
  }
  expect(() => createFeedbackExpansion({ type: "ceqe" })).toThrow(/encoder/);
  expect(() => createFeedbackExpansion({ type: "none" })).toThrow(/rm3, ceqe|none/);
  expect(await words.texts(["d1", "nobody"])).toEqual(["cat purrs", ""]);
});
