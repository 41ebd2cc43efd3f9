import fc from "fast-check";
import { expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { compile } from "./compile.js";
import { closeness, runBatches, timePlans } from "./measure-plans.js";
import { runSequences } from "./run-sequences.js";

const config = uniformEncoder({ vocabularySize: 30, hiddenSize: 16, layers: 1, heads: 2, maxPositions: 24 });
const model = createModel({ architecture: "Model", config });

test("batches of alike lengths give each sequence what it gets alone, in the order of the sequences", async () => {
  const plans = [compile(model, { outputs: "pooled" }), compile(model, { outputs: "hidden" })];
  const ids = fc.array(fc.integer({ min: 0, max: 29 }), { minLength: 1, maxLength: 24 });
  await fc.assert(
    fc.asyncProperty(fc.array(ids, { maxLength: 12 }), fc.integer({ min: 1, max: 60 }), async (all, tokenBudget) => {
      const sequences = all.map((each) => ({ ids: each }));
      for (const plan of plans) {
        const done: number[] = [];
        const results = await runSequences(plan, sequences, { tokenBudget, onProgress: (count) => done.push(count) });
        expect(results).toHaveLength(all.length);
        expect(done.at(-1) ?? 0).toBe(all.length);
        for (const [i, sequence] of sequences.entries()) {
          const alone = await plan.run(packSequences([sequence]));
          expect(results[i]).toHaveLength(alone.length);
          const worst = alone.reduce((most, value, at) => Math.max(most, Math.abs(value - results[i][at])), 0);
          expect(worst).toBeLessThan(1e-5);
        }
      }
    }),
    { numRuns: 15 },
  );
  for (const plan of plans) plan.close();
});

test("closeness: cosines of rows, and where the largest numbers stand", () => {
  const rows = (...values: number[]) => Float32Array.from(values);
  const near = closeness(rows(1, 0, 0, 2), rows(2, 0, 1, 1), 2);
  expect(near.sameLargest).toBe(0.5);
  expect(near.leastCosine).toBeCloseTo(Math.SQRT1_2, 6);
  expect(closeness(rows(0, 0), rows(0, 0), 2)).toEqual({ cosine: 1, leastCosine: 1, sameLargest: 1 });
  expect(closeness(rows(0, 1), rows(0, 0), 2).cosine).toBe(0);
  expect(closeness(rows(1, 1), rows(Number.NaN, 1), 2).leastCosine).toBeNaN();
  expect(closeness(rows(), rows(), 2).cosine).toBe(1);
});

test("plans are timed on the same batches", async () => {
  const compiled = compile(model, { outputs: "pooled" });
  const batches = [packSequences([{ ids: [1, 2, 3] }, { ids: [4] }]), packSequences([{ ids: [5] }])];
  const [cost] = await timePlans([{ compiled, planBytes: 7 }], batches, 0);
  expect(cost).toMatchObject({ planBytes: 7, scratchBytes: compiled.bytes({ tokens: 4, sequences: 2 }) });
  expect(cost.textsPerSecond).toBeCloseTo(3 / cost.seconds, 6);
  expect(await runBatches(compiled, batches)).toHaveLength(3 * 16);
  compiled.close();
});
