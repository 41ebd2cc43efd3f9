import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import { type MaskingOptions, maskTokens } from "./masking.js";

// Ids from 50 on continue a word.
const vocabulary = {
  maskId: 4,
  vocabularySize: 100,
  specialIds: new Set([0, 2, 3, 4]),
  isContinuation: (id: number) => id >= 50,
};
const sentence = (length: number, seed: number) => {
  const random = randomSource(seed);
  return [2, ...Array.from({ length }, (_, i) => (i > 0 && random() < 0.4 ? 50 : 5) + Math.floor(random() * 40)), 3];
};
const batch = packSequences(Array.from({ length: 200 }, (_, i) => ({ ids: sentence(40, i) })));
const mask = (options: MaskingOptions = {}, seed = 1) => maskTokens(batch, vocabulary, randomSource(seed), options);

describe.each(["token", "whole-word", "span"] as const)("masking by %s", (unit) => {
  test("hides about its share, never a special token, and remembers what stood there", () => {
    const { rows, targets, batch: masked } = mask({ unit });
    expect(rows.length / (200 * 40)).toBeGreaterThan(0.13);
    expect(rows.length / (200 * 40)).toBeLessThan(0.2);
    expect(Array.from(rows)).toEqual([...new Set(rows)].sort((a, b) => a - b));
    rows.forEach((row, i) => {
      expect(targets[i]).toBe(batch.ids[row]);
      expect(vocabulary.specialIds.has(batch.ids[row])).toBe(false);
    });
    const chosen = new Set(rows);
    masked.ids.forEach((id, row) => {
      if (!chosen.has(row)) expect(id).toBe(batch.ids[row]);
    });
  });

  test("80 % become the mask, 10 % a random token, 10 % stay", () => {
    const { rows, targets, batch: masked } = mask({ unit });
    const masks = rows.filter((row) => masked.ids[row] === 4).length / rows.length;
    const same = rows.filter((row, i) => masked.ids[row] === targets[i]).length / rows.length;
    expect(masks).toBeGreaterThan(0.75);
    expect(masks).toBeLessThan(0.85);
    expect(same).toBeGreaterThan(0.07);
    expect(same).toBeLessThan(0.15);
  });

  test("is the same for the same random numbers, and another the next time", () => {
    expect(mask({ unit }, 5)).toEqual(mask({ unit }, 5));
    expect(mask({ unit }, 5).rows).not.toEqual(mask({ unit }, 6).rows);
  });
});

test("whole words are hidden whole", () => {
  const { rows } = mask({ unit: "whole-word" });
  const chosen = new Set(rows);
  for (const row of rows) {
    for (let next = row + 1; batch.ids[next] >= 50; next++) expect(chosen.has(next)).toBe(true);
    for (let before = row; batch.ids[before] >= 50; before--) {
      const continues = !vocabulary.specialIds.has(batch.ids[before - 1]);
      if (continues) expect(chosen.has(before - 1)).toBe(true);
    }
  }
});

test("spans are longer than single tokens", () => {
  const runs = (rows: Int32Array) => rows.filter((row, i) => i === 0 || rows[i - 1] !== row - 1).length / rows.length;
  expect(runs(mask({ unit: "span" }).rows)).toBeLessThan(runs(mask().rows) - 0.2);
});

test("any batch: at least one token of a sequence that has one, none of one that has not", () => {
  const sequences = fc.array(fc.array(fc.constantFrom(2, 3, 5, 6, 51, 52), { maxLength: 8 }), { maxLength: 6 });
  fc.assert(
    fc.property(sequences, fc.constantFrom("token", "whole-word", "span"), fc.nat(), (rowsOfIds, unit, seed) => {
      const small = packSequences(rowsOfIds.map((ids) => ({ ids })));
      const { rows } = maskTokens(small, vocabulary, randomSource(seed), { unit: unit as "token" });
      rowsOfIds.forEach((ids, s) => {
        const inside = rows.filter((row) => row >= small.offsets[s] && row < small.offsets[s + 1]).length;
        expect(inside > 0).toBe(ids.some((id) => !vocabulary.specialIds.has(id)));
      });
    }),
  );
});

test("wrong options are refused", () => {
  expect(() => mask({ rate: 0 })).toThrow(/MASK|share/);
  const { isContinuation: _, ...blind } = vocabulary;
  expect(() => maskTokens(batch, blind, randomSource(1), { unit: "span" })).toThrow(/whole|words/);
});
