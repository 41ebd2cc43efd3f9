import { backend } from "@cloze/tensor";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { type CompiledModel, compile } from "./compile.js";
import { inParts, partsOf } from "./in-parts.js";

const before = backend().threads();
beforeAll(() => backend().setThreads(2));
afterAll(() => backend().setThreads(before));

const config = uniformEncoder({ vocabularySize: 60, hiddenSize: 32, layers: 2, heads: 4, maxPositions: 64 });
const batchOf = (lengths: readonly number[]) =>
  packSequences(lengths.map((length, s) => ({ ids: Array.from({ length }, (_, i) => (7 * s + i) % 60) })));

/** A model with the sizes of its runs. */
function watched(compiled: CompiledModel) {
  const runs: { tokens: number; threads?: number }[] = [];
  const model = inParts({
    ...compiled,
    run(batch, options) {
      runs.push({ tokens: batch.ids.length, threads: options?.threads });
      return compiled.run(batch, options);
    },
  });
  return { model, runs };
}

test.each(["hidden", "pooled", "logits"] as const)(
  "parts give what the whole gives, in its order: %s",
  async (outputs) => {
    const model = createModel({ architecture: "ForSequenceClassification", config, labels: 3 });
    const compiled = compile(model, { outputs });
    const { model: parted, runs } = watched(compiled);
    const lengths = Array.from({ length: 24 }, (_, i) => 5 + ((i * 11) % 23));
    const batch = batchOf(lengths);
    const values = await parted.run(batch);
    // Where runs do not stand beside each other (WebAssembly), parts would only wait: the batch runs as it is.
    expect(runs.map(({ threads }) => threads)).toEqual(backend().plans?.beside ? [1, 1] : [undefined]);
    expect(runs.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(batch.ids.length);
    const whole = compiled.runSync(batch);
    expect(values).toHaveLength(whole.length);
    values.forEach((value, i) => {
      expect(Math.abs(value - whole[i])).toBeLessThan(1e-5);
    });
    compiled.close();
    model.dispose();
  },
);

test("little, one long sequence, and a wish for threads are run as they are", async () => {
  const model = createModel({ architecture: "Model", config });
  const compiled = compile(model, { outputs: "pooled" });
  const { model: parted, runs } = watched(compiled);
  await parted.run(batchOf([20, 20]));
  await parted.run(batchOf([64, 64, 64, 64]), { threads: 2 });
  expect(runs).toEqual([{ tokens: 40 }, { tokens: 256, threads: 2 }]);
  expect(partsOf(Int32Array.of(0, 500, 510, 520), 2)).toBeUndefined();
  expect(partsOf(Int32Array.of(0, 500), 2)).toBeUndefined();
  compiled.close();
  model.dispose();
});

test("parts are alike, and together all", () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(lengths, fc.integer({ min: 2, max: 4 }), (list, count) => {
      const { offsets } = batchOf(list);
      const parts = partsOf(offsets, count);
      if (parts === undefined) return;
      expect(parts).toHaveLength(count);
      expect(parts.flat().sort((a, b) => a - b)).toEqual(Array.from(list.keys()));
      for (const part of parts) {
        const tokens = part.reduce((sum, s) => sum + list[s], 0);
        expect(tokens).toBeGreaterThan(0);
        expect(tokens).toBeLessThanOrEqual((1.1 * offsets[list.length]) / count);
      }
    }),
  );
  expect(partsOf(Int32Array.of(0, 100, 300, 400), 2)).toEqual([[1], [0, 2]]);
});
