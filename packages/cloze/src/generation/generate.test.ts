// Generation: the sampler against its definition, filters, and whole texts against a plain loop.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { memory, tensor } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import { type Axis, createAxis, fitDirection, saveAxis } from "../embedding/axis/index.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { uniformEncoder } from "../encoder/config.js";
import { withDirection } from "../encoder/direction.js";
import { createModel, loadModel, type Model } from "../families/index.js";
import { loadTokenizer, trainWordLevel } from "../text/index.js";
import { aboveThreshold } from "./filters/axis-filter.js";
import type { TokenFilter } from "./filters/index.js";
import { createFilter, generate } from "./index.js";
import { candidatesOf, drawToken, probabilitiesOf } from "./sampler.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-generate-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const code = (wanted: string) => expect.objectContaining({ code: wanted });
const sentence = "the cat and a dog saw the moon then they went home to sleep under a warm red roof";
const tokenizer = trainWordLevel([sentence], { vocabularySize: 40 });
const config = uniformEncoder({
  vocabularySize: tokenizer.vocabularySize,
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  maxPositions: 24,
  initializerRange: 0.6,
  dropout: 0,
});
const decoder = (seed = 3): Model =>
  createModel({ architecture: "LMHeadModel", config: withDirection(config, "causal"), seed });
const model = decoder();
/** Scores of the token after a text. */
const logitsAfter = (ids: readonly number[]): Float32Array => {
  const { logits } = model.forward(packSequences([{ ids }]));
  const all = logits!.toTypedArray() as Float32Array;
  return all.slice(all.length - tokenizer.vocabularySize);
};
/** A text scores by its last word. */
const scoreOf = (text: string): number => {
  const word = text.split(" ").at(-1) ?? "";
  return ((tokenizer.tokenToId(word) ?? 0) % 7) - 3;
};
const axis: Axis = createAxis(
  { width: 1, embed: (texts) => tensor(texts.map(scoreOf), [texts.length, 1]) },
  {
    templates: [],
    phrases: [],
    mean: Float64Array.of(0),
    direction: Float64Array.of(1),
    norm: 1,
    explainedVariance: [1],
  },
);
const axisFilter = (threshold: number, keepMin: number) => ({ type: "axis-filter", axis, threshold, keepMin });

describe("the sampler", () => {
  const logits = tensor([[0.5, 3, -1, 3, 2]]);
  test("the best k, divided by the temperature", () => {
    const { ids, logits: values } = candidatesOf(logits, { topK: 3, temperature: 0.5 });
    expect([...ids].sort()).toEqual([1, 3, 4]);
    expect([...values]).toEqual([6, 6, 4]);
    expect(candidatesOf(logits).ids).toHaveLength(5);
    expect(candidatesOf(logits, { topK: 99 }).ids).toHaveLength(5);
  });
  test("draws go by the softmax", () => {
    const candidates = candidatesOf(logits);
    const weights = [3, 3, 2, 0.5, -1].map(Math.exp);
    const total = weights.reduce((a, b) => a + b);
    probabilitiesOf(candidates).forEach((value, i) => {
      expect(value).toBeCloseTo(weights[i] / total, 6);
    });
    const counts = new Map<number, number>();
    const random = randomSource(5);
    const draws = 20_000;
    for (let i = 0; i < draws; i++) {
      const id = drawToken(candidates, random);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    // Three standard errors of the share of the likeliest are 0.011.
    expect(Math.abs((counts.get(4) ?? 0) / draws - weights[2] / total)).toBeLessThan(0.011);
    expect(Math.abs((counts.get(1) ?? 0) / draws - weights[0] / total)).toBeLessThan(0.011);
    expect(drawToken(candidates, () => 0)).toBe(candidates.ids[0]);
    expect(drawToken(candidates, () => 1 - 1e-12)).toBe(candidates.ids[4]);
  });
});

describe("a text", () => {
  test("the likeliest tokens are those of a plain loop over whole forward passes", () => {
    const cls = tokenizer.clsId;
    const ids = [cls, ...tokenizer.encodeIds("the cat", { addSpecialTokens: false })];
    const start = ids.length;
    while (ids.length < start + 10) {
      const logits = logitsAfter(ids);
      const best = logits.indexOf(Math.max(...logits));
      if (best === tokenizer.sepId) break;
      ids.push(best);
    }
    const made = generate(model, tokenizer, "the cat", { maxNewTokens: 10, temperature: 0 });
    expect(made.ids).toEqual(ids.slice(start));
    expect(made.text).toBe(tokenizer.decode(ids));
    expect(made.text).toBe(`the cat${made.continuation}`);
    expect(generate(model, tokenizer, "the cat", { maxNewTokens: 10, topK: 1, seed: 8 })).toEqual(made);
  });

  test("of a GPT-2 folder with more entries than the tokenizer, whose mark of the end is none of them", () => {
    const gpt2 = loadModel(fileURLToPath(new URL("../../test/fixtures/families/gpt2/LMHeadModel", import.meta.url)));
    const ids = [tokenizer.clsId, tokenizer.tokenToId("dog") as number];
    const made = generate(gpt2, tokenizer, "dog", { maxNewTokens: 6, temperature: 0 });
    for (const id of made.ids) {
      const { logits } = gpt2.forward(packSequences([{ ids }]));
      const last = (logits!.toTypedArray() as Float32Array).slice(-gpt2.encoder.config.vocabularySize);
      expect(id).toBe(last.indexOf(Math.max(...last.slice(0, tokenizer.vocabularySize))));
      ids.push(id);
    }
    expect(made.ended === "end" || made.ids.length === 6).toBe(true);
    gpt2.dispose();
  });

  test("of bytes: the prompt stays as it is", () => {
    const bytes = loadTokenizer(
      fileURLToPath(new URL("../../test/fixtures/tokenizers/bpe-bytelevel/tokenizer.json", import.meta.url)),
    );
    const wide = createModel({
      architecture: "LMHeadModel",
      config: withDirection({ ...config, vocabularySize: bytes.vocabularySize }, "causal"),
    });
    const prompt = "  Größe: 日本 🙂";
    const made = generate(wide, bytes, prompt, { maxNewTokens: 3, temperature: 0 });
    expect(made.text).toBe(prompt + made.continuation);
    expect(made.text).toBe(bytes.decode([...bytes.encodeIds(prompt, { addSpecialTokens: false }), ...made.ids]));
    wide.dispose();
  });

  test("draws of a seed are those of the distribution by hand, and another seed draws others", () => {
    const made = generate(model, tokenizer, "a dog", { maxNewTokens: 8, temperature: 1.5, topK: 6, seed: 4 });
    let ids = [tokenizer.clsId, ...tokenizer.encodeIds("a dog", { addSpecialTokens: false })];
    made.ids.forEach((id, step) => {
      const logits = logitsAfter(ids);
      const order = Array.from(logits.keys())
        .sort((a, b) => logits[b] - logits[a])
        .slice(0, 6);
      const weights = order.map((one) => Math.exp((logits[one] - logits[order[0]]) / 1.5));
      let left = randomSource(4, step)() * weights.reduce((a, b) => a + b);
      const place = weights.findIndex((weight) => {
        left -= weight;
        return left < 0;
      });
      expect(order[place]).toBe(id);
      ids = [...ids, id];
    });
    expect(generate(model, tokenizer, "a dog", { maxNewTokens: 8, temperature: 1.5, topK: 6, seed: 4 })).toEqual(made);
    const texts = [1, 2, 3, 5].map((seed) => generate(model, tokenizer, "a dog", { temperature: 1.5, seed }).text);
    expect(new Set(texts).size).toBeGreaterThan(1);
  });

  test("ends at the mark of the end, and a new text begins with that of a beginning", () => {
    const told: string[] = [];
    const only = (id: number): TokenFilter => ({
      type: "only",
      keep: ({ candidates }) => Uint8Array.from(candidates.ids, (one) => Number(one === id)),
    });
    const dog = tokenizer.tokenToId("dog") as number;
    const all = { maxNewTokens: 3, onToken: (_: number, text: string) => told.push(text) };
    expect(generate(model, tokenizer, "", { ...all, filters: [only(dog)] })).toEqual({
      text: "dog dog dog",
      continuation: "dog dog dog",
      ids: [dog, dog, dog],
      ended: "length",
    });
    expect(told).toEqual(["dog", "dog dog", "dog dog dog"]);
    const ended = generate(model, tokenizer, "the", { filters: [only(tokenizer.sepId)] });
    expect(ended).toEqual({ text: "the", continuation: "", ids: [], ended: "end" });
    expect(generate(model, tokenizer, "the", { maxNewTokens: 0 }).ids).toEqual([]);
    expect(() => generate(model, tokenizer, "the", { filters: [only(-1)] })).toThrow(code("GENERATION_FILTERED"));
  });

  test("leaves no memory behind", () => {
    generate(model, tokenizer, "the cat", { filters: [axisFilter(0, 2)] });
    const before = memory.stats().liveBytes;
    generate(model, tokenizer, "the cat", { filters: [axisFilter(0, 2)] });
    expect(memory.stats().liveBytes).toBe(before);
  });

  test("what is refused", () => {
    const masked = createModel({ architecture: "ForMaskedLM", config });
    const twoWay = createModel({ architecture: "LMHeadModel", config });
    for (const other of [masked, twoWay])
      expect(() => generate(other, tokenizer, "the")).toThrow(code("HEAD_MISMATCH"));
    expect(() => generate(model, tokenizer, "the", { maxNewTokens: 24 })).toThrow(code("GENERATION_LENGTH"));
    for (const wrong of [{ maxNewTokens: -1 }, { temperature: -1 }, { topK: 0 }, { topK: 1.5 }])
      expect(() => generate(model, tokenizer, "the", wrong)).toThrow(code("INVALID_OPTION"));
    expect(() => generate(model, tokenizer, "the", { filters: [{ type: "none" }] })).toThrow(code("FILTER_UNKNOWN"));
    for (const wrong of [{ axis: 3 }, { axis, keepMin: 0 }, { axis, margin: 1 }])
      expect(() => createFilter({ type: "axis-filter", ...wrong })).toThrow(code("FILTER_OPTIONS"));
    expect(() => createFilter({ type: "axis-filter", axis: "nowhere/moral.json" })).toThrow(code("AXIS_ENCODER"));
  });
});

describe("an axis as a filter", () => {
  test("what is kept: above the threshold, else the best ones, never fewer than both allow", () => {
    expect([...aboveThreshold([0.1, -0.2, 0.3, 0.4], 0, 2)]).toEqual([1, 0, 1, 1]);
    expect([...aboveThreshold([0.1, -0.2, 0.3, -0.4], 0, 3)]).toEqual([1, 1, 1, 0]);
    // As many survivors as the least: the same set, since they are the best.
    expect([...aboveThreshold([0.1, -0.2, 0.3, -0.4], 0, 2)]).toEqual([1, 0, 1, 0]);
    expect([...aboveThreshold([0, 0], 0, 1)]).toEqual([1, 0]);
    const random = randomSource(2);
    for (let round = 0; round < 200; round++) {
      const scores = Array.from({ length: 1 + Math.floor(random() * 12) }, () => random() - 0.5);
      const [threshold, keepMin] = [random() - 0.5, 1 + Math.floor(random() * 14)];
      const keep = aboveThreshold(scores, threshold, keepMin);
      const kept = scores.filter((_, i) => keep[i] === 1);
      expect(kept.length).toBeGreaterThanOrEqual(Math.min(keepMin, scores.length));
      const left = scores.filter((_, i) => keep[i] === 0);
      expect(Math.min(...kept)).toBeGreaterThan(Math.max(-1, ...left));
      if (kept.length > keepMin) expect(Math.min(...kept)).toBeGreaterThan(threshold);
    }
  });

  test.each([
    ["a threshold below all", axisFilter(Number.NEGATIVE_INFINITY, 1)],
    ["as many kept as there are", axisFilter(99, 8)],
    ["more kept than there are", axisFilter(99, 50)],
  ])("%s is plain top-k", (_, filter) => {
    for (const seed of [1, 2, 3]) {
      const how = { maxNewTokens: 12, topK: 8, temperature: 2, seed };
      expect(generate(model, tokenizer, "the cat", { ...how, filters: [filter] })).toEqual(
        generate(model, tokenizer, "the cat", how),
      );
    }
  });

  test("texts stay above the threshold where enough tokens do", () => {
    const scores = (filters: ReturnType<typeof axisFilter>[]) =>
      [1, 2, 3, 4].flatMap((seed) => {
        const made: number[] = [];
        generate(model, tokenizer, "the", {
          temperature: 3,
          topK: 20,
          seed,
          filters,
          onToken: (_, text) => made.push(scoreOf(text)),
        });
        return made;
      });
    expect(Math.min(...scores([]))).toBeLessThan(0);
    expect(Math.min(...scores([axisFilter(0, 1)]))).toBeGreaterThan(0);
  });

  test("from a file beside its encoder, or with the encoder named", () => {
    const encoder = fileURLToPath(new URL("../../test/fixtures/embedders/encoder", import.meta.url));
    const embedder = loadEmbedder(encoder);
    const path = join(folder, "axis.json");
    saveAxis(
      fitDirection(embedder, { phrases: ["a cat", "a dog", "the moon"], components: 2, orientBy: "a dog" }),
      path,
    );
    embedder.dispose();
    const live = memory.stats().liveBytes;
    const made = generate(model, tokenizer, "the", {
      temperature: 2,
      filters: [{ type: "axis-filter", axis: path, encoder, threshold: 0.2 }],
    });
    expect(made.ids.length).toBeGreaterThan(0);
    // This encoder reads 64 tokens.
    const long = createModel({
      architecture: "LMHeadModel",
      config: withDirection({ ...config, maxPositions: 200 }, "causal"),
    });
    const filters = [{ type: "axis-filter", axis: path, encoder }];
    expect(() => generate(long, tokenizer, "the cat ".repeat(40), { filters })).toThrow(code("GENERATION_LENGTH"));
    long.dispose();
    expect(memory.stats().liveBytes).toBe(live);
    expect(() => createFilter({ type: "axis-filter", axis: path })).toThrow(code("AXIS_ENCODER"));
  });
});
