import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { foldRows, splitRows } from "./split.js";

interface Row {
  readonly id: number;
  readonly label: string;
}
const error = expect.objectContaining({ code: "SPLIT" });
const labelled = fc
  .array(fc.constantFrom("a", "a", "a", "b", "c"), { minLength: 10, maxLength: 80 })
  .map((labels) => labels.map((label, id): Row => ({ id, label })));
const byLabel = ({ label }: Row): string => label;
const countOf = (rows: readonly Row[], wanted: string): number => rows.filter(({ label }) => label === wanted).length;

describe("splitRows", () => {
  it("deals every row once, in order, the same for the same seed", () => {
    fc.assert(
      fc.property(labelled, fc.nat(), (rows, seed) => {
        const { train, dev } = splitRows(rows, 0.3, { seed });
        expect(Math.abs(dev.length - rows.length * 0.3)).toBeLessThanOrEqual(0.5 + 1e-9);
        expect([...train, ...dev].sort((x, y) => x.id - y.id)).toEqual(rows);
        expect(dev.map(({ id }) => id)).toEqual(dev.map(({ id }) => id).sort((x, y) => x - y));
        expect(splitRows(rows, 0.3, { seed })).toEqual({ train, dev });
      }),
    );
    const rows = Array.from({ length: 100 }, (_, id): Row => ({ id, label: "" }));
    expect(splitRows(rows, 0.3, { seed: 2 })).not.toEqual(splitRows(rows, 0.3, { seed: 3 }));
  });

  it("gives each class its share, to within a row", () => {
    fc.assert(
      fc.property(labelled, fc.nat(), (rows, seed) => {
        const { dev } = splitRows(rows, 0.3, { seed, stratifyBy: byLabel });
        for (const label of ["a", "b", "c"]) {
          expect(Math.abs(countOf(dev, label) - 0.3 * countOf(rows, label))).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it("keeps groups together", () => {
    const rows = Array.from({ length: 60 }, (_, id): Row => ({ id, label: `group ${Math.floor(Math.sqrt(id))}` }));
    const { train, dev } = splitRows(rows, 0.25, { groupBy: byLabel });
    const groups = new Set(dev.map(byLabel));
    expect(train.some((row) => groups.has(byLabel(row)))).toBe(false);
    expect(Math.abs(dev.length - 15)).toBeLessThanOrEqual(5);
    expect(splitRows(rows.slice(0, 4), 0.1, { groupBy: byLabel }).dev).toHaveLength(1);
  });

  it("reports what cannot be", () => {
    const rows = [1, 2, 3];
    expect(() => splitRows(rows, 1)).toThrow(error);
    expect(() => splitRows(rows, 0.01)).toThrow(error);
    expect(() => splitRows(rows, 0.5, { groupBy: () => "one" })).toThrow(error);
    expect(() => splitRows(rows, 0.5, { groupBy: String, stratifyBy: String })).toThrow(error);
  });
});

describe("foldRows", () => {
  it("has every row in dev once, and even folds", () => {
    fc.assert(
      fc.property(labelled, fc.integer({ min: 2, max: 6 }), (rows, count) => {
        const folds = foldRows(rows, count, { stratifyBy: byLabel });
        expect(folds.flatMap(({ dev }) => dev).sort((x, y) => x.id - y.id)).toEqual(rows);
        const sizes = folds.map(({ dev }) => dev.length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        for (const { train, dev } of folds) expect(train.length + dev.length).toBe(rows.length);
        for (const label of ["a", "b", "c"]) {
          const ofFold = folds.map(({ dev }) => countOf(dev, label));
          expect(Math.max(...ofFold) - Math.min(...ofFold)).toBeLessThanOrEqual(2);
        }
      }),
    );
  });

  it("reports what cannot be", () => {
    expect(() => foldRows([1, 2], 3)).toThrow(error);
    expect(() => foldRows([1, 2], 1)).toThrow(error);
    expect(() => foldRows([1, 2, 3], 2, { groupBy: () => "one" })).toThrow(error);
  });
});
