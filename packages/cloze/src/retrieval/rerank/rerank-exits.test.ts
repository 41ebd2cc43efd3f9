import { expect, test } from "vitest";
import { wordModel, wordTokenizer } from "../../../test/tiny-models.js";
import { createExitRanker } from "./early-exit.js";
import { rerankExits, trainExits } from "./rerank-exits.js";

const tokenizer = wordTokenizer("cat dog bird stone the a");
const ranker = createExitRanker(wordModel(tokenizer, { seed: 4, layers: 2 }));
const texts = new Map(["a stone", "the bird", "a cat", "bird bird"].map((text, i) => [`d${i}`, { text }]));
const ranking = [...texts.keys()].map((id, i) => ({ id, score: 4 - i }));
const how = { tokenizer, maxLength: 24 };

test("trained exits rank as they are taught, whether candidates leave early or not", async () => {
  const rows = [...texts.values()].map(({ text }) => ({
    query: "bird",
    document: text,
    relevant: text.includes("bird"),
  }));
  const run = await trainExits(ranker, rows, { ...how, steps: 40, learningRate: 1e-2 });
  expect(run.loss).toBeLessThan(0.5);
  const all = { positive: 2, negative: 2 };
  for (const options of [{ exits: all }, {}, { cascade: 0.5 }, { cascade: 0 }]) {
    const found = await rerankExits(ranker, (id) => texts.get(id), { ...how, ...options }).rerank("bird", ranking);
    expect(new Set(found.slice(0, 2).map(({ id }) => id))).toEqual(new Set(["d1", "d3"]));
  }
  const part = await rerankExits(ranker, (id) => texts.get(id), { ...how, depth: 2 }).rerank("bird", ranking);
  expect(part.map(({ id }) => id)).toEqual(["d1", "d0", "d2", "d3"]);
  expect(await rerankExits(ranker, () => undefined, how).rerank("bird", [])).toEqual([]);
  await expect(trainExits(ranker, [], how)).rejects.toThrow(/no rows/);
  ranker.dispose();
});
