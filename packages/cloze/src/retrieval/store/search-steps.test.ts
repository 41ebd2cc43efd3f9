// Searches that let others in find what those find that do not.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { atOnce, inSlices } from "../../text/steps.js";
import { openIndex } from "./search-index.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-search-steps-"));
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

test("words and weights in several segments, with filters and removed documents", async () => {
  const words = ["cat", "dog", "london", "mat", "film"];
  const index = openIndex(join(folder, "index"), {
    write: true,
    create: { weights: { model: "none", fingerprint: "0", terms: "words" } },
    segmentSize: 20,
  });
  const numbers = Array.from({ length: 100 }, (_, i) => i);
  for (let i = 0; i < 100; i += 10) {
    const some = numbers.slice(i, i + 10);
    index.add(
      some.map((n) => ({ id: String(n), text: `${words[n % 5]} ${words[(n * n) % 3]} ${n}`, fields: { half: n % 2 } })),
      { weights: some.map((n) => new Map([[words[n % 5], 1 + (n % 7)]])) },
    );
  }
  index.remove(["3", "50"]);
  for (const options of [{ depth: 7 }, { depth: 200, filter: { half: 1 } }]) {
    for (const query of ["cat", "a dog in london", "nothing there", "7"]) {
      const found = index.searchWords(query, options);
      expect(await index.searchWordsAsync(query, options)).toEqual(found);
      if (query === "cat") expect(found.length).toBeGreaterThan(5);
    }
    const weights = new Map([
      ["cat", 1],
      ["film", 0.5],
    ]);
    const [found] = index.searchWeights([weights], options);
    expect(found.length).toBeGreaterThan(5);
    expect(await index.searchWeightsAsync(weights, options)).toEqual(found);
  }
  // Two at the same time, each let in between the other's steps.
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => {
    now += 10;
    return now;
  });
  const both = ["cat mat", "dog london film"].map((query) => index.searchWordsAsync(query, { depth: 50 }));
  expect(await Promise.all(both)).toEqual(
    ["cat mat", "dog london film"].map((query) => index.searchWords(query, { depth: 50 })),
  );
  index.close();
});

test("others are let in after steps that took a while, and only then", async () => {
  const seen: string[] = [];
  function* steps(name: string): Generator<void, string> {
    for (let i = 0; i < 3; i++) {
      seen.push(`${name}${i}`);
      yield;
    }
    return name;
  }
  expect(atOnce(steps("x"))).toBe("x");
  seen.length = 0;
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  await Promise.all([inSlices(steps("a")), inSlices(steps("b"))]);
  expect(seen).toEqual(["a0", "a1", "a2", "b0", "b1", "b2"]);
  seen.length = 0;
  vi.spyOn(performance, "now").mockImplementation(() => {
    now += 5;
    return now;
  });
  expect(await Promise.all([inSlices(steps("a")), inSlices(steps("b"))])).toEqual(["a", "b"]);
  expect(seen).toEqual(["a0", "b0", "a1", "b1", "a2", "b2"]);
});
