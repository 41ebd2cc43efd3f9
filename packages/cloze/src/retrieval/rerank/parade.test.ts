import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scope, tensor } from "@cloze/tensor";
import { afterAll, expect, test } from "vitest";
import { wordModel, wordTokenizer } from "../../../test/tiny-models.js";
import { randomSource } from "../../data/random-source.js";
import { pipeline } from "../pipeline/retriever.js";
import { createParade } from "./parade.js";
import { isParadeFolder, loadParade, saveParade } from "./parade-folder.js";
import { createPassageAggregator, passageAggregations } from "./passage-aggregator.js";
import { rerankParade } from "./rerankers.js";
import { trainParade } from "./train-parade.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-parade-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const words = ["cat", "dog", "bird", "stone", "the", "a"];
const tokenizer = wordTokenizer(words.join(" "));
const model = (seed = 3) => wordModel(tokenizer, { head: { type: "none" }, seed });
const shape = { hiddenSize: 6, heads: 2, passages: 8, layers: 2, dropout: 0 };
const random = randomSource(4);
const rows = Array.from({ length: 7 }, () => Array.from({ length: 6 }, () => random() - 0.5));
const offsets = Int32Array.of(0, 4, 5, 7);

test("ways of aggregating: any order of passages, one document beside others or alone; one passage is itself", () => {
  const order = [2, 0, 3, 1, 4, 6, 5].map((i) => rows[i]);
  for (const type of passageAggregations) {
    const aggregator = createPassageAggregator(type, shape, { seed: 2 });
    const of = (x: readonly number[][], ends: Int32Array) =>
      scope(() => aggregator.forward(tensor(x as number[][]), ends).toArray()) as number[][];
    const plain = of(rows, offsets);
    const close = (a: readonly number[], b: readonly number[]) => a.every((value, i) => Math.abs(value - b[i]) < 1e-5);
    expect(plain).toHaveLength(3);
    for (const [d, one] of plain.entries())
      expect(
        close(of(rows.slice(offsets[d], offsets[d + 1]), Int32Array.of(0, offsets[d + 1] - offsets[d]))[0], one),
      ).toBe(true);
    const same = of(order, offsets).every((one, d) => close(one, plain[d]));
    // Windows of neighbours are the one way in which the order counts.
    expect(same, type).toBe(type !== "cnn");
    if (["avg", "max", "sum", "attention"].includes(type)) expect(close(plain[1], rows[4]), type).toBe(true);
    aggregator.dispose();
  }
  const mean = createPassageAggregator("avg", shape).forward(tensor(rows), offsets).toArray() as number[][];
  expect(mean[2][0]).toBeCloseTo((rows[5][0] + rows[6][0]) / 2, 6);
});

test("a query is not cut; too many passages: the first, the last, and in training others by chance", () => {
  const parade = createParade(model(), tokenizer, { words: 2, stride: 2, passages: 3, maxLength: 10 });
  const text = "cat cat dog dog bird bird stone stone the the a a";
  const found = new Set<string>();
  const read = (sequence: { ids: ArrayLike<number> }) => tokenizer.decode(Array.from(sequence.ids));
  for (let sample = 0; sample < 20; sample++) {
    const all = parade.sequences("the cat", { text }, sample).map(read);
    expect(all).toHaveLength(3);
    expect(all[0]).toContain("cat cat");
    expect(all[2]).toContain("a a");
    found.add(all[1]);
  }
  expect(found.size).toBeGreaterThan(2);
  expect(parade.sequences("the cat", { text }).map(read)[2]).toContain("a a");
  const [long] = parade.sequences("the cat", { text: "doggy ".repeat(2), title: "stone bird stone bird" });
  expect(read(long).startsWith("the cat")).toBe(true);
  expect(long.ids.length).toBe(10);
  parade.dispose();
});

test.each(passageAggregations)(
  "%s learns which passage says it; batches, folders and pipelines agree",
  async (aggregation) => {
    const parade = createParade(model(), tokenizer, { aggregation, words: 2, stride: 2, maxLength: 12, layers: 1 });
    const documents = [
      { text: "bird stone cat cat" },
      { text: "bird stone bird bird" },
      { text: "cat cat" },
      { text: "stone stone bird bird stone stone" },
    ];
    const data = documents.map((document, i) => ({ query: "cat", document, relevant: i % 2 === 0 }));
    const run = await trainParade(parade, data, { steps: 80, batchSize: 4, learningRate: 5e-3 });
    expect(run.loss).toBeLessThan(0.6);
    const scores = parade.score("cat", documents);
    expect(Math.min(scores[0], scores[2])).toBeGreaterThan(Math.max(scores[1], scores[3]));
    parade.score("cat", documents, 1).forEach((score, i) => {
      expect(score).toBeCloseTo(scores[i], 4);
    });
    saveParade(parade, join(folder, aggregation));
    expect(isParadeFolder(join(folder, aggregation))).toBe(true);
    const loaded = loadParade(join(folder, aggregation));
    expect(loaded.score("cat", documents)).toEqual(scores);
    const first = {
      name: "all",
      search: async () => [documents.map((_, i) => ({ id: String(i), score: -i }))],
    };
    const search = pipeline(
      first,
      rerankParade(loaded, (id) => documents[Number(id)]),
    );
    const [ranking] = await search.search(["cat"], { depth: 4 });
    expect(ranking.map(({ id }) => Number(id))).toEqual([0, 1, 2, 3].sort((a, b) => scores[b] - scores[a]));
    // A teacher's logits alone.
    await trainParade(
      parade,
      data.map((row, i) => ({ ...row, teacher: i })),
      { steps: 80, batchSize: 4, learningRate: 5e-3, labelWeight: 0 },
    );
    const taught = parade.score("cat", documents);
    expect(taught[3]).toBeGreaterThan(taught[0]);
    for (const one of [parade, loaded]) one.dispose();
  },
);
