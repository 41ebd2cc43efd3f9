import { linear, matmul, scope, sub, tensor } from "@cloze/tensor";
import { expect, test } from "vitest";
import { packSequences } from "../../data/packed-batch.js";
import { createModel } from "../../families/index.js";
import { compile } from "../../inference/compile.js";
import { createParameters } from "../parameters.js";
import { bindWeight } from "./index.js";

const matrix = { name: "m", outputs: 6, inputs: 8, bias: true };

test("equals the linear layer with the product of its matrices", () => {
  const bound = bindWeight({ type: "low-rank", rank: 3 }, matrix);
  const parameters = createParameters(bound.parameters, { seed: 1 }, 0.02);
  const named = (name: string) => parameters.get(name)!;
  scope(() => {
    const x = tensor(Array.from({ length: 4 }, (_, i) => Array.from({ length: 8 }, (_, j) => Math.sin(3 * i + j))));
    const whole = linear(x, matmul(named("b"), named("a")), named("bias"), { activation: "gelu" });
    const thin = bound.linear(x, named, { activation: "gelu" });
    for (const value of sub(thin, whole).toTypedArray()) expect(Math.abs(value)).toBeLessThan(1e-6);
  });
  expect(named("a").shape).toEqual([3, 8]);
});

test("starts with the deviation of a whole matrix", () => {
  const wide = { ...matrix, outputs: 200, inputs: 100 };
  const parameters = createParameters(bindWeight({ type: "low-rank", rank: 50 }, wide).parameters, { seed: 1 }, 0.02);
  const product = scope(() => matmul(parameters.get("b")!, parameters.get("a")!).toTypedArray());
  const deviation = Math.sqrt(Array.from(product).reduce((sum, value) => sum + value * value, 0) / product.length);
  expect(deviation).toBeGreaterThan(0.018);
  expect(deviation).toBeLessThan(0.022);
});

test("runs in a plan", () => {
  const weights = { queryKeyValue: { type: "low-rank" as const, rank: 4 } };
  const model = createModel({
    architecture: "Model",
    head: { type: "none" },
    config: {
      vocabularySize: 20,
      hiddenSize: 8,
      layers: [{ mixer: { type: "attention", heads: 2, weights }, channel: { type: "mlp", intermediateSize: 16 } }],
    },
  });
  const compiled = compile(model);
  const batch = packSequences([{ ids: [1, 2, 3] }, { ids: [4, 5] }]);
  expect(compiled.reason).toBeUndefined();
  const planned = compiled.runSync(batch);
  const plain = scope(() => model.forward(batch).hidden.toTypedArray());
  planned.forEach((value, i) => {
    expect(value).toBeCloseTo(plain[i], 5);
  });
  compiled.close();
  model.dispose();
});
