import { scope } from "@cloze/tensor";
import fc from "fast-check";
import { expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { clusterChances, clusterRows, createClusters } from "./clusters.js";
import { createObjective, parseObjective } from "./index.js";
import { maskTokens } from "./masking.js";
import { chooseByChance, substitutionLabels } from "./random-token-substitution.js";

const specialIds = new Set([0, 2, 3, 4]);
const vocabulary = {
  maskId: 4,
  clsId: 2,
  sepId: 3,
  vocabularySize: 60,
  specialIds,
  isContinuation: (id: number) => id >= 40,
};
const random = randomSource(1);
const batch = packSequences(
  Array.from({ length: 50 }, () => ({
    ids: [2, ...Array.from({ length: 30 }, () => 5 + Math.floor(random() * 55)), 3],
  })),
);
const frameOf = (
  encoder = uniformEncoder({ vocabularySize: 60, hiddenSize: 16, layers: 1, heads: 2, maxPositions: 40 }),
) => ({
  model: createModel({ architecture: "ForReplacedTokenDetection", config: encoder }),
  vocabulary,
  maxLength: 40,
  batchTokens: 400,
  seed: 1,
});

test("chance 0 chooses nothing, special tokens are never chosen, the share is the chance", () => {
  expect(chooseByChance(batch, vocabulary, randomSource(1), { rate: 0, unit: "token" })).toHaveLength(0);
  for (const unit of ["token", "whole-word"] as const) {
    const rows = chooseByChance(batch, vocabulary, randomSource(1), { rate: 0.3, unit });
    expect(rows.some((row) => specialIds.has(batch.ids[row]))).toBe(false);
    expect(rows.length / (50 * 30)).toBeGreaterThan(0.24);
    expect(rows.length / (50 * 30)).toBeLessThan(0.36);
  }
});

test("whole words are chosen whole", () => {
  const rows = new Set(chooseByChance(batch, vocabulary, randomSource(2), { rate: 0.3, unit: "whole-word" }));
  batch.ids.forEach((id, row) => {
    const continues = id >= 40 && !specialIds.has(batch.ids[row - 1]);
    if (continues) expect(rows.has(row)).toBe(rows.has(row - 1));
  });
});

test("labels are as many as changes", () => {
  const { model, ...frame } = frameOf();
  const objective = createObjective(parseObjective({ type: "rts", rate: 0.4 }), { model, ...frame });
  const { original, substituted } = objective.prepare!(batch, randomSource(3)) as Record<string, typeof batch>;
  const labels = substitutionLabels(original, substituted);
  const changes = original.ids.filter((id, row) => id !== substituted.ids[row]).length;
  expect(changes).toBeGreaterThan(0);
  expect(labels.reduce((sum, label) => sum + label, 0)).toBe(changes);
  model.dispose();
});

test("swapped language modelling is masked words with no [MASK] and no token kept", () => {
  const slm = parseObjective({ type: "slm" });
  expect(slm).toMatchObject({ type: "masked-language", maskShare: 0, randomShare: 1 });
  const config = uniformEncoder({ vocabularySize: 60, hiddenSize: 16, layers: 1, heads: 2, maxPositions: 40 });
  const model = createModel({ architecture: "ForMaskedLM", config });
  const objective = createObjective(slm, { ...frameOf(), model });
  const swapped = maskTokens(batch, vocabulary, randomSource(1), { rate: 0.15, maskShare: 0, randomShare: 1 });
  expect(objective.prepare!(batch, randomSource(1))).toEqual(swapped);
  expect(swapped.rows.filter((row, i) => swapped.batch.ids[row] === swapped.targets[i]).length).toBeLessThan(20);
  model.dispose();
});

test("equal counts, or beta 0, draw all clusters alike; counts only matter relative to each other", () => {
  const all = [1, 1, 1, 1];
  for (const chance of clusterChances([5, 5, 5, 5], 2, all)) expect(chance).toBeCloseTo(0.25, 12);
  for (const chance of clusterChances([-900, 3, 7, 1e6], 0, all)) expect(chance).toBeCloseTo(0.25, 12);
  const small = clusterChances([0, 1, 2, 4], 2, all);
  const large = clusterChances([-1e6, 0, 1e6, 3e6], 2, all);
  small.forEach((chance, c) => {
    expect(large[c]).toBeCloseTo(chance, 12);
  });
  expect(small[3] / small[0]).toBeCloseTo(Math.exp(2), 10);
  expect(clusterChances([9, 1, 1], 2, [false, true, true])[0]).toBe(0);
});

test("counts move by exactly one for each prediction, and duplicates add up", () => {
  const { model, ...frame } = frameOf();
  const clusters = createClusters("c", 5, { model, ...frame });
  const [map, counts] = [...clusters.state.values()];
  const of = map.toTypedArray();
  clusters.sampler(2);
  for (let i = 0; i < 3; i++) clusters.note(10, 20, true);
  clusters.note(11, 21, false);
  expect(counts.toTypedArray().every((count) => count === 1)).toBe(true);
  clusters.update();
  const expected = new Float32Array(25).fill(1);
  expected[of[10] * 5 + of[20]] += 3;
  expected[of[11] * 5 + of[21]] -= 1;
  expect(counts.toTypedArray()).toEqual(expected);
  clusters.dispose();
  model.dispose();
});

test("substitutes are no special tokens and follow the chances of their clusters", () => {
  const { model, ...frame } = frameOf();
  const clusters = createClusters("c", 4, { model, ...frame });
  const [map, counts] = [...clusters.state.values()];
  const of = map.toTypedArray();
  for (let i = 0; i < 40; i++) clusters.note(10, 20, true);
  clusters.update();
  const sampler = clusters.sampler(2);
  const source = randomSource(5);
  const drawn = Array.from({ length: 4000 }, () => sampler(10, source));
  expect(drawn.some((id) => specialIds.has(id))).toBe(false);
  const row = counts.toTypedArray().slice(of[10] * 4, of[10] * 4 + 4) as Float32Array;
  const members = [0, 1, 2, 3].map((c) =>
    Array.from({ length: 60 }, (_, id) => id).some((id) => of[id] === c && !specialIds.has(id)),
  );
  clusterChances(row, 2, members).forEach((chance, c) => {
    expect(Math.abs(drawn.filter((id) => of[id] === c).length / 4000 - chance)).toBeLessThan(0.04);
  });
  clusters.dispose();
  model.dispose();
});

test("k-means ends with every row in the cluster of the nearest centre", () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const noise = randomSource(seed);
      const rows = Float32Array.from({ length: 60 }, (_, at) => (Math.floor(at / 2) % 3) * 3 + noise());
      const found = clusterRows(rows, 2, 3, randomSource(seed, 1), 60);
      const centre = (c: number): number[] => {
        const members = Array.from(found.keys()).filter((row) => found[row] === c);
        return [0, 1].map((i) => members.reduce((sum, row) => sum + rows[2 * row + i], 0) / members.length);
      };
      const centres = [0, 1, 2].map(centre);
      found.forEach((cluster, row) => {
        const distance = ([x, y]: number[]) => (rows[2 * row] - x) ** 2 + (rows[2 * row + 1] - y) ** 2;
        for (const other of centres.filter(([x]) => !Number.isNaN(x))) {
          expect(distance(centres[cluster])).toBeLessThanOrEqual(distance(other) + 1e-6);
        }
      });
    }),
    { numRuns: 20 },
  );
});

test("counts of errors grow where the model is wrong, and stand in the state", () => {
  const { model, ...frame } = frameOf();
  const objective = createObjective(parseObjective({ type: "c-rts", clusters: 5, rate: 0.4 }), { model, ...frame });
  const prepared = objective.prepare!(batch, randomSource(1));
  const now = () => objective.state.get("clustered-token-substitution.counts")!.toTypedArray();
  // What is measured between steps counts nothing.
  scope(() => objective.loss(prepared, { seed: 1, step: 0, training: false }));
  objective.afterStep?.(1);
  expect(now().every((count) => count === 1)).toBe(true);
  scope(() => objective.loss(prepared, { seed: 1, step: 0 }));
  objective.afterStep?.(1);
  const counts = now();
  expect(counts.some((count) => count !== 1)).toBe(true);
  const total = Array.from(counts).reduce((sum, count) => sum + count - 1, 0);
  expect(Math.abs(total)).toBeLessThanOrEqual(batch.ids.length);
  objective.dispose();
  model.dispose();
});
