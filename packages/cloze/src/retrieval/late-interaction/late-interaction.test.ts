import { expect, test } from "vitest";
import { randomSource } from "../../data/random-source.js";
import { createLateInteractionIndex } from "./late-interaction-index.js";
import { type CompressedTokens, maxSim, searchLateTogether } from "./late-search.js";
import { plaidSettings } from "./plaid.js";
import { sampleTokens, trainTokenCodec } from "./token-codec.js";

const width = 16;
const random = randomSource(3);
/** Vectors of length 1 about some topics. */
const topics = Array.from({ length: 12 }, () => Array.from({ length: width }, () => random() - 0.5));
function tokensOf(topic: number, count: number, noise: number): Float32Array {
  const tokens = new Float32Array(count * width);
  for (let t = 0; t < count; t++) {
    const row = topics[(topic + t) % 12].map((value) => value + noise * (random() - 0.5));
    const length = Math.hypot(...row);
    row.forEach((value, c) => {
      tokens[t * width + c] = value / length;
    });
  }
  return tokens;
}
const documents = Array.from({ length: 60 }, (_, d) => tokensOf(d % 12, 2 + (d % 4), 0.3));

test("more bits, nearer vectors, of length 1; 8 bits hardly lose anything", () => {
  const sample = Float32Array.from(documents.flatMap((tokens) => [...tokens]));
  const errors = ([1, 2, 4, 8] as const).map((bits) => {
    const codec = trainTokenCodec(sample, width, { bits, centroids: 12 });
    const codes = codec.encode(sample);
    expect(codes.residuals.length).toBe((sample.length * bits) / 8);
    const back = codec.decode(codes);
    for (let row = 0; row < back.length; row += width)
      expect(Math.hypot(...back.subarray(row, row + width))).toBeCloseTo(1, 5);
    expect(codec.decode(codes, 3, 5)).toEqual(back.slice(3 * width, 5 * width));
    return Math.sqrt(sample.reduce((sum, value, i) => sum + (value - back[i]) ** 2, 0) / (sample.length / width));
  });
  expect(errors).toEqual([...errors].sort((a, b) => b - a));
  expect(errors[3]).toBeLessThan(0.02);
  expect(errors[0]).toBeLessThan(0.5);
});

test("finds what MaxSim over all tokens finds; cells look at fewer", () => {
  const index = createLateInteractionIndex(documents, width, { bits: 8, centroids: 12 });
  for (let topic = 0; topic < 12; topic++) {
    const query = tokensOf(topic, 3, 0.1);
    const plain = documents
      .map((tokens, d) => ({ index: d, score: maxSim(query, tokens, width) }))
      .sort((a, b) => b.score - a.score);
    const hits = index.search(query, 60);
    expect(hits).toHaveLength(60);
    expect(hits[0].score).toBeCloseTo(plain[0].score, 1);
    expect(plain.slice(0, 3).map((hit) => hit.index)).toContain(hits[0].index);
    const near = index.search(query, 60, { cells: 1 });
    expect(near.length).toBeLessThan(60);
    expect(near[0]).toEqual(hits[0]);
    // With every cell, every document.
    expect(index.search(query, 60, { cells: 12 })).toEqual(hits);
  }
  expect(index.bytes).toBe(documents.reduce((sum, tokens) => sum + (tokens.length / width) * (4 + width), 0));
});

test("PLAID that prunes nothing is the search of all; pruned it looks at few, and at good ones", () => {
  const index = createLateInteractionIndex(documents, width, { bits: 8, centroids: 12 });
  const all = { cells: 12, threshold: Number.NEGATIVE_INFINITY, candidates: Number.POSITIVE_INFINITY };
  for (let topic = 0; topic < 12; topic++) {
    const query = tokensOf(topic, 3, 0.1);
    const hits = index.search(query, 60);
    expect(index.search(query, 60, all)).toEqual(hits);
    // The threshold alone drops nothing where there is room for all.
    expect(index.search(query, 60, { ...all, threshold: 2 })).toEqual(hits);
    const few = index.search(query, 60, { cells: 2, threshold: 0.5, candidates: 20 });
    expect(few.length).toBeLessThanOrEqual(5);
    // What is left has its exact score.
    for (const hit of few) expect(hits).toContainEqual(hit);
    expect(hits.slice(0, 5)).toContainEqual(few[0]);
  }
  expect([1, 50, 2000].map((k) => plaidSettings(k).candidates)).toEqual([256, 1024, 8000]);
});

test("several queries at once find what each finds alone", () => {
  const held = [new Float32Array(0), ...documents];
  const index = createLateInteractionIndex(held, width, { bits: 8, centroids: 12 });
  const queries = [...Array.from({ length: 70 }, (_, i) => tokensOf(i % 12, 1 + (i % 4), 0.2)), new Float32Array(0)];
  const together = index.searchAll(queries, 10);
  const few = index.searchAll(queries, 10, { cells: 2 });
  for (const [q, query] of queries.entries()) {
    const alone = index.search(query, 10);
    expect(together[q].map((hit) => hit.index)).toEqual(alone.map((hit) => hit.index));
    for (const [i, { score }] of together[q].entries()) expect(score).toBeCloseTo(alone[i].score, 4);
    expect(few[q]).toEqual(index.search(query, 10, { cells: 2 }));
  }
});

test("queries that have no room together are searched in passes, and find the same", () => {
  const codec = trainTokenCodec(sampleTokens(documents, width), width, { bits: 8, centroids: 12 });
  const codes = documents.map((tokens) => codec.encode(tokens));
  let decoded = 0;
  const tokens: CompressedTokens = {
    documents: () => codes.keys(),
    cell: () => [],
    centroidsOf: (document) => codes[document].centroids,
    codesOf(document) {
      decoded++;
      return codes[document];
    },
  };
  const queries = [...Array.from({ length: 7 }, (_, i) => tokensOf(i, 1 + (i % 4), 0.2)), new Float32Array(0)];
  const search = (mostScores?: number) => {
    decoded = 0;
    const found = searchLateTogether(queries, codec, tokens, 10, mostScores);
    return { found, passes: decoded / documents.length };
  };
  const whole = search();
  expect(whole.passes).toBe(1);
  for (const [mostScores, passes] of [
    [3 * documents.length, 3],
    [1, 7],
  ]) {
    const parts = search(mostScores);
    expect(parts.passes).toBe(passes);
    for (const [q, hits] of parts.found.entries()) {
      expect(hits.map(({ index }) => index)).toEqual(whole.found[q].map(({ index }) => index));
      for (const [i, { score }] of hits.entries()) expect(score).toBeCloseTo(whole.found[q][i].score, 4);
    }
  }
});

test("documents without tokens are last; what is no row is refused", () => {
  const index = createLateInteractionIndex([new Float32Array(0), documents[0]], width, { centroids: 1 });
  expect(index.search(documents[0], 2).map((hit) => hit.index)).toEqual([1]);
  expect(() => createLateInteractionIndex([new Float32Array(3)], width)).toThrow(/multiples of 16/);
  expect(() => createLateInteractionIndex([], width)).toThrow(/no token/);
});
