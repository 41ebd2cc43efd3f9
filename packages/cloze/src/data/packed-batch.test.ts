import fc from "fast-check";
import { expect, test } from "vitest";
import { groupByTokenBudget, packSequences, padBatch, paddedPlaces, unpadBatch } from "./packed-batch.js";

const sequences = fc.array(fc.array(fc.integer({ min: 1, max: 999 }), { maxLength: 9 }), { maxLength: 9 });

test("padding and packing again gives the same batch", () => {
  fc.assert(
    fc.property(sequences, (rows) => {
      const batch = packSequences(rows.map((ids) => ({ ids, segments: ids.map((id) => id % 2) })));
      const padded = padBatch(batch);
      expect(unpadBatch(padded)).toEqual(batch);
      const places = paddedPlaces(batch, padded.length);
      expect(Array.from(places, (place) => padded.ids[place])).toEqual(Array.from(batch.ids));
    }),
  );
});

test("groups hold every sequence once and stay within the budget", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(50)),
      fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constant(Infinity)),
      fc.boolean(),
      (lengths, budget, keepOrder) => {
        const groups = groupByTokenBudget(lengths, budget, { keepOrder });
        expect(groups.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
        for (const group of groups) {
          const used = group.reduce((sum, i) => sum + lengths[i], 0);
          expect(used <= budget || group.length === 1).toBe(true);
        }
      },
    ),
  );
});
