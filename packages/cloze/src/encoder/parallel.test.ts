// A branch beside the mixer and the channel of a layer.
import { layerNorm, type Tensor, tensor } from "@cloze/tensor";
import { expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import type { EncoderConfigInput } from "./config.js";
import { createEncoder, type Encoder } from "./encoder.js";
import { encoderMatrices, withWeights } from "./surgery.js";

const hiddenSize = 6;
const plain: EncoderConfigInput["layers"][number] = {
  mixer: { type: "attention", heads: 2 },
  channel: { type: "mlp", intermediateSize: 5 },
};
const withBranch = { ...plain, parallel: { type: "convolution" as const, kernels: [3], activation: "tanh" as const } };
const encoderOf = (layers: EncoderConfigInput["layers"], normPosition: "pre" | "post"): Encoder =>
  createEncoder({ vocabularySize: 20, hiddenSize, initializerRange: 0.5, normPosition, layers }, { seed: 4 });
const batch = packSequences([[3, 4, 5, 6], [7], [8, 9, 10]].map((ids) => ({ ids })));
const numbers = (x: Tensor): number[] => Array.from(x.toTypedArray());

function expectEqual(received: readonly number[], expected: readonly number[]): void {
  expect(received).toHaveLength(expected.length);
  received.forEach((value, i) => {
    expect(value, `at ${i}`).toBeCloseTo(expected[i], 5);
  });
}

test.each(["pre", "post"] as const)("%s: a branch that gives nothing adds nothing but its norm", (normPosition) => {
  const [without, encoder] = [encoderOf([plain], normPosition), encoderOf([withBranch], normPosition)];
  const kernels = encoder.parameters.get("layers.0.parallel.kernels.weight");
  expect(kernels?.shape).toEqual([3 * hiddenSize, hiddenSize]);
  const before = numbers(encoder.forward(batch).hidden);
  const expected = without.forward(batch).hidden;
  expect(before).not.toEqual(numbers(expected));
  const silent = createEncoder(encoder.config, {
    load: (name) => {
      const from = encoder.parameters.get(name) as Tensor;
      return tensor(name.includes(".kernels.") ? new Float32Array(from.size) : from.toTypedArray(), [...from.shape]);
    },
  });
  const ones = tensor(new Float32Array(hiddenSize).fill(1));
  const zeros = tensor(new Float32Array(hiddenSize));
  expectEqual(
    numbers(silent.forward(batch).hidden),
    numbers(normPosition === "pre" ? expected : layerNorm(expected, ones, zeros, { epsilon: 1e-12 })),
  );
});

test("a packed batch equals its sequences one at a time", () => {
  const encoder = encoderOf([withBranch, plain], "post");
  const together = numbers(encoder.forward(batch).hidden);
  const alone = [[3, 4, 5, 6], [7], [8, 9, 10]].flatMap((ids) =>
    numbers(encoder.forward(packSequences([{ ids }])).hidden),
  );
  expectEqual(together, alone);
});

test("layers that share parameters share those of the branch", () => {
  const encoder = encoderOf([withBranch, { ...withBranch, sharedWith: 0 }], "post");
  const names = [...encoder.parameters.keys()].filter((name) => name.includes("parallel"));
  expect(names).toEqual([
    "layers.0.parallel.kernels.weight",
    "layers.0.parallel.bias",
    "layers.0.parallelNorm.weight",
    "layers.0.parallelNorm.bias",
  ]);
});

test("the branch's matrices can be stored otherwise", () => {
  const { config } = encoderOf([withBranch], "post");
  const ofBranch = encoderMatrices(config).filter(({ slot }) => slot === "parallel");
  expect(ofBranch.map(({ path }) => path)).toEqual(["layers.0.parallel.kernels"]);
  const changed = withWeights(config, ({ slot }) => (slot === "parallel" ? { type: "grouped", groups: 2 } : undefined));
  const parameters = [...createEncoder(changed, { seed: 1 }).parameters.keys()].filter((name) =>
    name.includes("parallel.kernels"),
  );
  expect(parameters).toContain("layers.0.parallel.kernels.weight");
  expect(encoderMatrices(changed).find(({ slot }) => slot === "parallel")?.weights).toMatchObject({ groups: 2 });
});
