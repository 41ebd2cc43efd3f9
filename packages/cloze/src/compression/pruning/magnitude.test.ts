import { expect, test } from "vitest";
import { packSequences } from "../../data/packed-batch.js";
import { uniformEncoder } from "../../encoder/config.js";
import { createModel } from "../../families/index.js";
import { compile } from "../../inference/compile.js";
import { pruneByMagnitude } from "./magnitude.js";

const config = uniformEncoder({ vocabularySize: 40, hiddenSize: 64, layers: 2, heads: 4, initializerRange: 0.2 });
const batch = packSequences([{ ids: [1, 2, 3, 4] }, { ids: [5, 6, 7] }]);

test("the exact share of blocks becomes zero, those with the least energy; the rest stays", () => {
  const model = createModel({ architecture: "Model", config });
  const name = "encoder.layers.0.channel.input.weight"; // [256, 64]
  const before = Float32Array.from(model.parameters.get(name)?.toTypedArray() ?? []);
  const words = model.parameters.get("encoder.embeddings.word.weight")?.toTypedArray();
  const report = pruneByMagnitude(model, { sparsity: 0.75 });
  expect(report).toMatchObject({ matrices: 8, zeros: 0.75 * report.weights });
  const after = Float32Array.from(model.parameters.get(name)?.toTypedArray() ?? []);
  const energy = (group: number, input: number) =>
    Array.from({ length: 16 }, (_, i) => before[(16 * group + i) * 64 + input] ** 2).reduce((a, b) => a + b, 0);
  const [kept, gone]: number[][] = [[], []];
  for (let group = 0; group < 16; group++) {
    for (let input = 0; input < 64; input++) {
      const block = Array.from({ length: 16 }, (_, i) => (16 * group + i) * 64 + input);
      const zero = block.every((at) => after[at] === 0);
      if (!zero) expect(block.map((at) => after[at])).toEqual(block.map((at) => before[at]));
      (zero ? gone : kept).push(energy(group, input));
    }
  }
  expect(gone).toHaveLength(768);
  expect(Math.max(...gone)).toBeLessThanOrEqual(Math.min(...kept));
  expect(model.parameters.get("encoder.embeddings.word.weight")?.toTypedArray()).toEqual(words);
  model.dispose();
});

test("a pruned model gives the same dense, sparse, and through the engine; blocks may have any shape", async () => {
  for (const block of [undefined, { outputs: 4, inputs: 1 }, { outputs: 1, inputs: 16 }]) {
    const model = createModel({ architecture: "Model", config });
    pruneByMagnitude(model, { sparsity: 0.9, block });
    const expected = model.encoder.forward(batch).hidden.toTypedArray();
    for (const weights of ["float32", "sparse"] as const) {
      const compiled = compile(model, { weights });
      const got = await compiled.run(batch);
      expect(Math.max(...got.map((value, i) => Math.abs(value - expected[i])))).toBeLessThan(1e-4);
      compiled.close();
    }
    model.dispose();
  }
});

test("a sparsity that is no share is refused", () => {
  const model = createModel({ architecture: "Model", config });
  expect(() => pruneByMagnitude(model, { sparsity: 1.2 })).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  model.dispose();
});
