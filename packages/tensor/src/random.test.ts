import { describe, expect, it } from "vitest";
import { backend, createReferenceBackend, withBackend } from "./backend/index.js";
import { createRandom, randomNormal, randomUniform, truncatedNormal } from "./random.js";
import type { Tensor } from "./tensor.js";

function moments(values: ArrayLike<number>) {
  const list = Array.from(values);
  const mean = list.reduce((a, b) => a + b, 0) / list.length;
  const central = (power: number) => list.reduce((total, x) => total + (x - mean) ** power, 0) / list.length;
  const std = Math.sqrt(central(2));
  return { mean, std, skew: central(3) / std ** 3, kurtosis: central(4) / std ** 4 };
}

describe("createRandom", () => {
  it("is the same stream for the same seed, on every machine", () => {
    const random = createRandom(42);
    const first = [random.bits(), random.bits(), random.bits()];
    expect(first).toEqual([createRandom(42)].flatMap((r) => [r.bits(), r.bits(), r.bits()]));
    // These numbers are a promise: seeds of published runs depend on them.
    expect(first).toEqual([2045109014, 3988865047, 873341660]);
    expect(createRandom(43).bits()).not.toBe(first[0]);
    expect(createRandom(2 ** 40 + 42).bits()).not.toBe(first[0]);
  });
  it("goes on from a saved state", () => {
    const random = createRandom(7);
    for (let i = 0; i < 11; i++) random.normal();
    const resumed = createRandom(JSON.parse(JSON.stringify(random.state())));
    const next = (r: typeof random) => [r.normal(), r.uniform(), r.integer(10), r.normal(), r.fork("x").bits()];
    expect(next(resumed)).toEqual(next(random));
  });
  it("forks into streams that do not depend on what was drawn", () => {
    const random = createRandom(7);
    const before = random.fork("a").bits();
    random.bits();
    expect(random.fork("a").bits()).toBe(before);
    const streams = ["a", "b", "a/", "", 0, 1, "#0x"].map((key) => random.fork(key).bits());
    expect(new Set([...streams, createRandom(7).bits()]).size).toBe(8);
    expect(createRandom(8).fork("a").bits()).not.toBe(before);
  });
  it("draws integers of a range evenly, and shuffles", () => {
    const random = createRandom(1);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[random.integer(7)]++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    expect(random.integer(1)).toBe(0);
    expect(random.integer(2 ** 50)).toBeLessThan(2 ** 50);
    const list = random.shuffle(Int32Array.from({ length: 100 }, (_, i) => i));
    expect([...list].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect([...list].filter((x, i) => x === i).length).toBeLessThan(10);
    expect(random.shuffle([])).toEqual([]);
  });
  it("refuses seeds, states and ranges that are none", () => {
    const invalid = expect.objectContaining({ code: "INVALID_OPTION" });
    for (const seed of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => createRandom(seed)).toThrow(invalid);
    expect(() => createRandom({ seed: 1, words: [0, 0, 0, 0], spare: null })).toThrow(invalid);
    for (const below of [0, -1, 1.5, Number.NaN]) expect(() => createRandom(1).integer(below)).toThrow(invalid);
  });
});

describe("random tensors", () => {
  const count = 200_000;
  it("normal: mean, spread, skew and kurtosis", () => {
    const { mean, std, skew, kurtosis } = moments(randomNormal([count], { seed: 3, mean: 1, std: 2 }).toTypedArray());
    expect(mean).toBeCloseTo(1, 1);
    expect(std).toBeCloseTo(2, 1);
    expect(skew).toBeCloseTo(0, 1);
    expect(kurtosis).toBeCloseTo(3, 1);
  });
  it("uniform: even, and inside its bounds", () => {
    const values = randomUniform([count], { seed: 3, low: -1, high: 3 }).toTypedArray();
    const { mean, std } = moments(values);
    expect(mean).toBeCloseTo(1, 1);
    expect(std).toBeCloseTo(4 / Math.sqrt(12), 1);
    expect(values.every((x) => x >= -1 && x < 3)).toBe(true);
    const narrow = randomUniform([10_000], { seed: 3, low: 1, high: 1 + 2 ** -23 }).toTypedArray();
    expect(narrow.every((x) => x === 1)).toBe(true);
  });
  it("truncated normal: inside its bounds, with the spread that theory gives", () => {
    for (const [bound, spread] of [
      [2, 0.8796],
      [1, 0.5396],
      [0.5, 0.2841],
    ]) {
      const values = truncatedNormal([count], { seed: 3, mean: 5, std: 0.1, bound }).toTypedArray();
      const { mean, std } = moments(values);
      expect(mean).toBeCloseTo(5, 2);
      expect(std / 0.1).toBeCloseTo(spread, 1);
      expect(values.every((x) => Math.abs(x - 5) <= 0.1 * bound + 1e-6)).toBe(true);
    }
    expect(truncatedNormal([3], { seed: 1, bound: 0, mean: 2 }).toArray()).toEqual([2, 2, 2]);
  });
  it("does not depend on threads or backend", () => {
    const make = (): Tensor => randomNormal([1001], { seed: 5 });
    const before = backend().threads();
    const all = [1, 2].map((threads) => {
      backend().setThreads(threads);
      return make().toTypedArray();
    });
    backend().setThreads(before);
    all.push(withBackend(createReferenceBackend(), () => make().toTypedArray()));
    expect(all[1]).toEqual(all[0]);
    expect(all[2]).toEqual(all[0]);
  });
  it("draws on from a generator; empty and scalar shapes; float64", () => {
    const random = createRandom(9);
    const a = randomNormal([4], { seed: random }).toTypedArray();
    expect(randomNormal([4], { seed: random }).toTypedArray()).not.toEqual(a);
    expect(randomUniform([0, 3], { seed: 1 }).shape).toEqual([0, 3]);
    expect(randomUniform([], { seed: 1 }).shape).toEqual([]);
    withBackend(createReferenceBackend(), () => {
      expect(randomNormal([2], { seed: 1, dtype: "float64" }).dtype).toBe("float64");
    });
  });
  it("refuses what makes no distribution", () => {
    const invalid = expect.objectContaining({ code: "INVALID_OPTION" });
    expect(() => randomNormal([2], { seed: 1, std: -1 })).toThrow(invalid);
    expect(() => randomUniform([2], { seed: 1, low: 2, high: 1 })).toThrow(invalid);
    expect(() => truncatedNormal([2], { seed: 1, bound: Number.NaN })).toThrow(invalid);
    expect(() => randomNormal([-2], { seed: 1 })).toThrow(expect.objectContaining({ code: "INVALID_SHAPE" }));
    expect(() => randomNormal([2], { seed: 1, dtype: "int32" })).toThrow(
      expect.objectContaining({ code: "DTYPE_NOT_SUPPORTED" }),
    );
  });
});
