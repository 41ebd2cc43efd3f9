import fc from "fast-check";
import { expect, test } from "vitest";
import { type BatchSource, budgetBatches, shuffledBatches } from "./batch-source.js";

const sources: Record<string, () => BatchSource<number[]>> = {
  shuffled: () => shuffledBatches(23, 4, 7, (positions) => Array.from(positions)),
  budget: () =>
    budgetBatches(
      23,
      (i) => i % 5,
      9,
      7,
      (positions) => Array.from(positions),
    ),
};

test.each(Object.entries(sources))("%s: goes on where its state was taken, at any place", (_, create) => {
  const whole = create();
  const batches = Array.from({ length: 30 }, () => whole.next());
  fc.assert(
    fc.property(fc.nat(29), (stop) => {
      const first = create();
      for (let i = 0; i < stop; i++) first.next();
      const second = create();
      second.restore(JSON.parse(JSON.stringify(first.state())));
      expect(Array.from({ length: 30 - stop }, () => second.next())).toEqual(batches.slice(stop));
    }),
  );
});

test("an epoch of budget batches holds every item once, within the budget", () => {
  const source = sources.budget();
  const seen: number[] = [];
  while (seen.length < 23) {
    const batch = source.next();
    expect(batch.length === 1 || batch.reduce((sum, i) => sum + (i % 5), 0) <= 9).toBe(true);
    seen.push(...batch);
  }
  expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 23 }, (_, i) => i));
});
