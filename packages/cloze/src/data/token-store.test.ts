import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { openTokenStore, writeTokenStore } from "./token-store.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-store-"));
const path = join(folder, "tokens.bin");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("gives back what was written, without empty sequences", () => {
  const rows = fc.array(fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { maxLength: 5 }), {
    minLength: 1,
    maxLength: 9,
  });
  fc.assert(
    fc.property(rows, (sequences) => {
      const kept = sequences.filter((sequence) => sequence.length > 0);
      fc.pre(kept.length > 0);
      writeTokenStore(path, sequences);
      const store = openTokenStore(path);
      expect(store.count).toBe(kept.length);
      expect(store.tokens).toBe(kept.flat().length);
      expect(kept.map((_, i) => Array.from(store.sequence(i)))).toEqual(kept);
      store.close();
    }),
    { numRuns: 30 },
  );
});

test("a cut or foreign file is refused, and an empty corpus leaves the old store alone", () => {
  writeTokenStore(path, [[1, 2], [3]]);
  const bytes = readFileSync(path);
  for (let length = 0; length < bytes.length; length++) {
    const part = join(folder, "cut.bin");
    writeFileSync(part, bytes.subarray(0, length));
    expect(() => openTokenStore(part)).toThrowError(/token store/);
  }
  expect(() => writeTokenStore(path, [])).toThrowError(/no text/);
  expect(readFileSync(path)).toEqual(bytes);
});
