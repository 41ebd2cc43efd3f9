// Beam search against every text that a tiny model can write, and against a plain loop over whole forward passes.
import { afterAll, describe, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { uniformEncoder } from "../encoder/config.js";
import { withDirection } from "../encoder/direction.js";
import { createModel } from "../families/index.js";
import { trainWordLevel } from "../text/index.js";
import type { TokenFilter } from "./filters/index.js";
import { type GeneratedText, generate, generateTexts } from "./index.js";

const code = (wanted: string) => expect.objectContaining({ code: wanted });
const tokenizer = trainWordLevel(["a b c"], { vocabularySize: 8 });
const size = tokenizer.vocabularySize;
const endId = tokenizer.sepId;
const models = [1, 2, 3].map((seed) =>
  createModel({
    architecture: "LMHeadModel",
    seed,
    config: withDirection(
      uniformEncoder({
        vocabularySize: size,
        hiddenSize: 16,
        layers: 2,
        heads: 2,
        maxPositions: 16,
        initializerRange: 0.8,
        dropout: 0,
      }),
      "causal",
    ),
  }),
);
afterAll(() => {
  for (const model of models) model.dispose();
});
const prompt = [tokenizer.clsId, tokenizer.tokenToId("a") as number];

interface Path {
  readonly ids: readonly number[];
  readonly sum: number;
}
/** A path with each token behind it, by whole forward passes. */
function extended(model: (typeof models)[number], { ids, sum }: Path): Path[] {
  const { logits } = model.forward(packSequences([{ ids: [...prompt, ...ids] }]));
  const last = (logits!.toTypedArray() as Float32Array).slice(-size);
  const total = Math.log(last.reduce((all, value) => all + Math.exp(value), 0));
  return Array.from(last, (value, id) => ({ ids: [...ids, id], sum: sum + value - total }));
}
const ends = ({ ids }: Path): boolean => ids[ids.length - 1] === endId;
const scored = (paths: readonly Path[], penalty: number) =>
  paths
    .map((path) => ({
      ids: path.ids.filter((id) => id !== endId),
      score: path.sum / path.ids.length ** penalty,
      ended: ends(path) ? "end" : "length",
    }))
    .sort((a, b) => b.score - a.score);

/** Every text of at most so many tokens. */
function everyText(model: (typeof models)[number], most: number): Path[] {
  let open: Path[] = [{ ids: [], sum: 0 }];
  const all: Path[] = [];
  for (let length = 1; length <= most; length++) {
    const next = open.flatMap((path) => extended(model, path));
    all.push(...next.filter(ends));
    open = next.filter((path) => !ends(path));
  }
  return [...all, ...open];
}

/** The search as it is defined, without stopping before the last token. */
function plainSearch(model: (typeof models)[number], beams: number, most: number, penalty: number) {
  let open: Path[] = [{ ids: [], sum: 0 }];
  const found: Path[] = [];
  for (let length = 1; length <= most; length++) {
    const next = open.flatMap((path) => extended(model, path)).sort((a, b) => b.sum - a.sum);
    found.push(...next.slice(0, beams).filter(ends));
    open = next.filter((path) => !ends(path)).slice(0, beams);
  }
  return scored([...found, ...open], penalty).slice(0, beams);
}

function expectTexts(got: readonly GeneratedText[], wanted: ReturnType<typeof scored>): void {
  expect(got.map(({ ids, ended }) => ({ ids, ended }))).toEqual(wanted.map(({ ids, ended }) => ({ ids, ended })));
  got.forEach(({ score }, i) => {
    expect(Math.abs(score! - wanted[i].score)).toBeLessThan(1e-5 * Math.max(1, Math.abs(wanted[i].score)));
  });
}

describe.each([0, 1, 2])("model %i", (index) => {
  const model = models[index];

  test.each([0, 0.5, 1, 2, -1])("wide enough, it finds the best of all texts: length penalty %f", (lengthPenalty) => {
    const beams = size ** 2;
    const all = scored(everyText(model, 3), lengthPenalty);
    expect(all.length).toBeGreaterThan(beams);
    for (const cache of [true, false]) {
      const got = generateTexts(model, tokenizer, "a", { maxNewTokens: 3, beams, count: 5, lengthPenalty, cache });
      expectTexts(got, all.slice(0, 5));
    }
  });

  test.each([
    [2, 1],
    [3, 0],
    [4, 1],
    [4, 2.5],
    [3, -1],
  ])("%i beams are those of a plain loop: length penalty %f", (beams, lengthPenalty) => {
    const wanted = plainSearch(model, beams, 10, lengthPenalty);
    for (const cache of [true, false]) {
      const how = { maxNewTokens: 10, beams, lengthPenalty, cache };
      expectTexts(generateTexts(model, tokenizer, "a", { ...how, count: beams }), wanted);
      expect(generate(model, tokenizer, "a", how).ids).toEqual(wanted[0].ids);
    }
  });
});

test("one beam is the likeliest token each time", () => {
  const [model] = models;
  const greedy = generate(model, tokenizer, "a", { temperature: 0, maxNewTokens: 6 });
  expect(plainSearch(model, 1, 6, 0)[0].ids.slice(0, greedy.ids.length)).toEqual(greedy.ids);
});

test("filters and the best k strike out tokens, and leave the rest its probability", () => {
  const [model] = models;
  const b = tokenizer.tokenToId("b") as number;
  const only: TokenFilter = {
    type: "only",
    keep: ({ candidates }) => Uint8Array.from(candidates.ids, (id) => Number(id === b)),
  };
  const made = generate(model, tokenizer, "a", { maxNewTokens: 3, beams: 4, lengthPenalty: 0, filters: [only] });
  expect(made.ids).toEqual([b, b, b]);
  let path: Path = { ids: [], sum: 0 };
  for (let i = 0; i < 3; i++) path = extended(model, path)[b];
  expect(made.score).toBeCloseTo(path.sum, 5);
  const greedy = generate(model, tokenizer, "a", { maxNewTokens: 4, temperature: 0 });
  expect(generate(model, tokenizer, "a", { maxNewTokens: 4, beams: 3, topK: 1 }).ids).toEqual(greedy.ids);
  expect(generateTexts(model, tokenizer, "a", { maxNewTokens: 0, beams: 3, count: 3 })).toHaveLength(1);
});

test("what is refused", () => {
  const [model] = models;
  for (const wrong of [
    { beams: 0 },
    { beams: 1.5 },
    { count: 0 },
    { beams: 2, count: 3 },
    { beams: 2, lengthPenalty: Number.NaN },
    { beams: 2, temperature: 0.5 },
    { beams: 2, seed: 1 },
    { beams: 2, onToken: () => {} },
  ])
    expect(() => generateTexts(model, tokenizer, "a", wrong)).toThrow(code("INVALID_OPTION"));
});
