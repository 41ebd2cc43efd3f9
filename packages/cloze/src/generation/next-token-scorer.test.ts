// Texts and scores from a cache are those of reading whole texts again.
import { fileURLToPath } from "node:url";
import { memory, noGrad, scope } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { randomSource } from "../data/random-source.js";
import { type EncoderConfigInput, uniformEncoder } from "../encoder/config.js";
import { withDirection } from "../encoder/direction.js";
import { recurrentEncoder } from "../encoder/presets.js";
import { createModel, loadModel, type Model } from "../families/index.js";
import { trainWordLevel } from "../text/index.js";
import type { TokenFilter } from "./filters/index.js";
import { generate, generateTexts } from "./index.js";
import { createNextTokenScorer } from "./next-token-scorer.js";

const words = "the cat and a dog saw the moon then they went home to sleep under a warm red roof";
const tokenizer = trainWordLevel([words], { vocabularySize: 40 });
const { vocabularySize } = tokenizer;
const config = uniformEncoder({
  vocabularySize,
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  maxPositions: 64,
  initializerRange: 0.6,
  dropout: 0,
});
const decoder = (input: EncoderConfigInput): Model =>
  createModel({ architecture: "LMHeadModel", config: input, seed: 3 });
const causal = withDirection(config, "causal");
const rotary = {
  ...causal,
  embeddings: { positions: "none" as const },
  layers: causal.layers.map((layer, i) => ({
    ...layer,
    mixer: { ...layer.mixer, rotary: { theta: 100 }, window: i === 0 ? 4 : 0 } as typeof layer.mixer,
  })),
};
const models: Record<string, Model> = {
  "GPT-2": loadModel(fileURLToPath(new URL("../../test/fixtures/families/gpt2/LMHeadModel", import.meta.url))),
  "a causal BERT": decoder(causal),
  "rotary positions": decoder(rotary),
  "a recurrent decoder, which reads all again": decoder(
    recurrentEncoder({ vocabularySize, hiddenSize: 16, bidirectional: false }),
  ),
};
afterAll(() => {
  for (const model of Object.values(models)) model.dispose();
});
/** Strikes out every third of the candidates, by the length of the text. */
const thirds: TokenFilter = {
  type: "thirds",
  keep: ({ ids, candidates }) => Uint8Array.from(candidates.ids, (_, at) => Number((at + ids.length) % 3 !== 0)),
};
/** How many rows each forward pass had. */
function countingRows(model: Model): { model: Model; rows: number[] } {
  const rows: number[] = [];
  const forward: Model["forward"] = (batch, options) => {
    rows.push(batch.ids.length);
    return model.forward(batch, options);
  };
  return { model: { ...model, forward }, rows };
}

describe.each(Object.keys(models))("%s", (name) => {
  const model = models[name];
  const most = Math.min(model.encoder.config.maxPositions, 40);

  test("scores", () => {
    const random = randomSource(6);
    const ids = Array.from({ length: most }, () => Math.floor(random() * vocabularySize));
    const [cached, plain] = [true, false].map((cache) => createNextTokenScorer(model, vocabularySize, cache));
    for (const length of [1, 2, 3, 9, 10, 11, most - 1, most]) {
      scope(() =>
        noGrad(() => {
          const text = [ids.slice(0, length)];
          const got = cached.score(text, [0]).toTypedArray();
          const wanted = plain.score(text, [0]).toTypedArray();
          expect(got.length).toBe(vocabularySize);
          const scale = Math.max(1, ...Array.from(wanted, Math.abs));
          const worst = Math.max(...Array.from(wanted, (value, i) => Math.abs(value - got[i])));
          expect(worst).toBeLessThanOrEqual(1e-5 * scale);
        }),
      );
    }
    cached.dispose();
    plain.dispose();
  });

  test.each([
    ["the likeliest", { temperature: 0 }],
    ["the likeliest, filtered", { temperature: 0, filters: [thirds] }],
    ["drawn", { temperature: 1.5, seed: 7 }],
    ["drawn from the best, filtered", { topK: 9, seed: 2, filters: [thirds] }],
    ["searched for", { beams: 3 }],
    ["searched for, filtered", { beams: 4, lengthPenalty: 0.3, filters: [thirds] }],
  ])("texts: %s", (_, how) => {
    for (const [prompt, maxNewTokens] of [
      ["", 1],
      ["the cat", 12],
      ["a dog saw the moon and went home", most - 10],
    ] as const) {
      const cached = generate(model, tokenizer, prompt, { ...how, maxNewTokens });
      const { score, ...text } = generate(model, tokenizer, prompt, { ...how, maxNewTokens, cache: false });
      expect(cached).toMatchObject(text);
      if (score !== undefined) expect(cached.score).toBeCloseTo(score, 4);
    }
  });

  test("several texts are those that are drawn one by one", () => {
    const how = { maxNewTokens: 10, temperature: 1.3, topK: 12 };
    const texts = generateTexts(model, tokenizer, "the cat", { ...how, seed: 5, count: 11 });
    expect(texts).toEqual(
      Array.from({ length: 11 }, (_, i) =>
        generate(model, tokenizer, "the cat", { ...how, seed: 5 + i, cache: false }),
      ),
    );
    expect(new Set(texts.map(({ text }) => text)).size).toBeGreaterThan(1);
  });

  test("no memory is left behind, nor where it fails", () => {
    const before = memory.stats();
    const afterwards = () => {
      const { liveBytes, allocations } = memory.stats();
      expect({ liveBytes, allocations }).toEqual({ liveBytes: before.liveBytes, allocations: before.allocations });
    };
    generateTexts(model, tokenizer, "the cat", { count: 3 });
    generateTexts(model, tokenizer, "the cat", { beams: 3, count: 2 });
    afterwards();
    const late: TokenFilter = {
      type: "late",
      keep: ({ ids, candidates }) => candidates.ids.map(() => Number(ids.length < 6)) as never,
    };
    const failing: TokenFilter = {
      type: "failing",
      keep({ ids, candidates }) {
        if (ids.length > 6) throw new Error("a filter of the caller");
        return new Uint8Array(candidates.ids.length).fill(1);
      },
    };
    for (const how of [{ count: 3, topK: 5 }, { beams: 3 }]) {
      const unending: TokenFilter = {
        type: "unending",
        keep: ({ candidates }) => Uint8Array.from(candidates.ids, (id) => Number(id !== tokenizer.sepId)),
      };
      expect(() => generateTexts(model, tokenizer, "the", { ...how, filters: [unending, late] })).toThrow("struck out");
      expect(() => generateTexts(model, tokenizer, "the", { ...how, filters: [unending, failing] })).toThrow("caller");
    }
    afterwards();
  });
});

test("a new token costs one row, where the model can go on from a cache", () => {
  const how = { maxNewTokens: 5, temperature: 0, filters: [{ ...thirds, keep: keepAllBut(tokenizer.sepId) }] };
  const prompt = "the cat and a dog";
  const length = tokenizer.encodeIds(prompt).length - 1;
  const again = Array.from({ length: 5 }, (_, i) => length + i);
  for (const [name, cache, wanted] of [
    ["a causal BERT", true, [length, 1, 1, 1, 1]],
    ["a causal BERT", false, again],
    ["a recurrent decoder, which reads all again", true, again],
  ] as const) {
    const { model, rows } = countingRows(models[name]);
    expect(generate(model, tokenizer, prompt, { ...how, cache }).ids).toHaveLength(5);
    expect(rows).toEqual(wanted);
  }
  const { model, rows } = countingRows(models["a causal BERT"]);
  generateTexts(model, tokenizer, prompt, { ...how, temperature: 1, count: 10 });
  expect(rows).toEqual([length, 8, 8, 8, 8, length, 2, 2, 2, 2]);
});

function keepAllBut(id: number): TokenFilter["keep"] {
  return ({ candidates }) => Uint8Array.from(candidates.ids, (one) => Number(one !== id));
}

test("each text says which one its tokens are of", () => {
  const told = new Map<number, number[]>();
  const texts = generateTexts(models["a causal BERT"], tokenizer, "the", {
    count: 10,
    onToken: (id, _, index) => told.set(index, [...(told.get(index) ?? []), id]),
  });
  texts.forEach(({ ids }, index) => {
    expect(told.get(index) ?? []).toEqual(ids);
  });
});
