import { existsSync, mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createNearest } from "@cloze/tensor";
import { expect, test } from "vitest";
import { randomSource } from "../data/random-source.js";
import { createApproximateIndex, type Usearch } from "./approximate.js";

/** usearch where it is installed, or among the peers of the benchmarks. */
function installed(): Usearch | undefined {
  const require = createRequire(import.meta.url);
  const peer = fileURLToPath(new URL("../../../../.peers/node/node_modules/usearch", import.meta.url));
  for (const name of ["usearch", ...(existsSync(peer) ? [peer] : [])]) {
    try {
      return require(name) as Usearch;
    } catch {
      // The next one.
    }
  }
  return undefined;
}
const usearch = installed();
if (usearch === undefined) console.log("skipped: no usearch. Get it with: npm run bench:setup");

test.skipIf(usearch === undefined)(
  "finds nearly all of what the exact search finds; saved and loaded too",
  async () => {
    const random = randomSource(5);
    const [count, width, k] = [3000, 24, 10];
    const draw = (rows: number) => Float32Array.from({ length: rows * width }, () => random() + random() - 1);
    const [rows, queries] = [draw(count), draw(50)];
    const index = await createApproximateIndex(width, { usearch });
    index.add(rows.subarray(0, 1000 * width), 0);
    index.add(rows.subarray(1000 * width), 1000);
    expect(index.size).toBe(count);
    const exact = createNearest(queries, width, k);
    exact.visit("float32", new Uint8Array(rows.buffer), 0);
    const found = index.search(queries, k);
    const shared = exact.hits().map((hits, q) => {
      const right = new Set(hits.map((hit) => hit.index));
      expect(found[q][0].score).toBeLessThanOrEqual(hits[0].score + 1e-4);
      return found[q].filter((hit) => right.has(hit.index)).length / k;
    });
    expect(shared.reduce((sum, share) => sum + share) / shared.length).toBeGreaterThan(0.95);
    const path = join(mkdtempSync(join(tmpdir(), "cloze-approximate-")), "vectors.usearch");
    index.save(path);
    const again = await createApproximateIndex(width, { usearch });
    again.load(path);
    expect(again.search(queries, k)).toEqual(found);
    expect(() => index.search(new Float32Array(3), 1)).toThrow(/multiple of 24/);
  },
);

test("without the package, its absence is said", async () => {
  if (usearch === undefined) await expect(createApproximateIndex(4)).rejects.toMatchObject({ code: "USEARCH_MISSING" });
  const Index = class {
    constructor() {
      throw new Error("no vectors in this stand-in");
    }
  } as unknown as Usearch["Index"];
  await expect(createApproximateIndex(4, { usearch: { Index } })).rejects.toThrow(/stand-in/);
});
