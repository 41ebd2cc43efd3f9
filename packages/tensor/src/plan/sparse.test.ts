import { expect, test } from "vitest";
import { activationCode } from "../backend/contract/network.js";
import { backend, createReferenceBackend, withBackend } from "../backend/index.js";
import { environmentVariable } from "../host.js";
import { add } from "../ops/elementwise.js";
import { linear } from "../ops/linear.js";
import { createRandom, randomNormal } from "../random.js";
import { empty, type Tensor, tensor } from "../tensor.js";
import { createPlanBuilder } from "./builder.js";
import { type BlockHeight, disposeBlocks, fastestBlocks, findBlocks, storeBlocks } from "./sparse-weight.js";

/** A weight in which blocks of that height are zero with a probability. */
function pruned(n: number, k: number, height: BlockHeight, sparsity: number, seed = 1): Float32Array {
  const random = createRandom(seed);
  const dense = randomNormal([n, k], { seed: random.fork("values") }).toTypedArray() as Float32Array;
  const keep = randomNormal([Math.ceil(n / height), k], { seed: random.fork("mask") }).toTypedArray();
  // The share of a normal distribution above 1.2816 is 0.1, above 0.8416 0.2.
  const least = { 0.9: 1.2816, 0.8: 0.8416, 1: 99, 0: -99 }[sparsity] ?? 0;
  return dense.map((value, i) => (keep[Math.floor(i / k / height) * k + (i % k)] > least ? value : 0));
}

function run(
  x: Tensor,
  weight: Float32Array,
  n: number,
  height: BlockHeight,
  bias: Tensor | null,
  residual: Tensor | null,
) {
  const [m, k] = x.shape;
  const stored = storeBlocks(findBlocks(weight, n, k, height));
  const y = empty([m, n]);
  backend().kernels.linearSparseF32(
    x.pointer,
    stored.starts.pointer,
    stored.inputs.pointer,
    stored.values.pointer,
    bias?.pointer ?? null,
    y.pointer,
    m,
    n,
    k,
    height,
    activationCode.gelu,
    residual?.pointer ?? null,
  );
  disposeBlocks(stored);
  return y.toTypedArray() as Float32Array;
}
const worst = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0);

const sizes = [
  [1, 1, 1],
  [1, 16, 5],
  [7, 33, 40],
  [96, 64, 130],
  [97, 70, 17],
  [200, 3, 1100],
  [130, 200, 64],
  [100, 70, 1100],
  [100, 200, 900],
  // So many rows that each task packs its own.
  [1000, 33, 40],
  [1003, 70, 1100],
];

test.each([16, 4, 1] as const)("blocks of %i outputs: the dense product, for odd sizes and any sparsity", (height) => {
  for (const [m, n, k] of sizes) {
    for (const sparsity of [0, 0.8, 0.9, 1]) {
      const weight = pruned(n, k, height, sparsity);
      const [x, bias, residual] = [[m, k], [n], [m, n]].map((shape, i) => randomNormal(shape, { seed: i + 2 }));
      const dense = linear(x, tensor(weight, [n, k]), bias, { activation: "gelu" });
      const expected = add(dense, residual).toTypedArray() as Float32Array;
      expect(worst(run(x, weight, n, height, bias, residual), expected), `${m} ${n} ${k} ${sparsity}`).toBeLessThan(
        1e-3,
      );
    }
  }
});

test("blocks hold every number that is not zero, once", () => {
  const weight = pruned(37, 50, 4, 0.8);
  for (const height of [16, 4, 1] as const) {
    const { starts, inputs, values } = findBlocks(weight, 37, 50, height);
    const back = new Float32Array(37 * 50);
    for (let group = 0; group + 1 < starts.length; group++) {
      for (let block = starts[group]; block < starts[group + 1]; block++) {
        for (let i = 0; i < height && group * height + i < 37; i++)
          back[(group * height + i) * 50 + inputs[block]] = values[block * height + i];
      }
    }
    expect(back).toEqual(weight);
  }
});

test.skipIf(backend().name === "reference")("native = reference", () => {
  const weight = pruned(20, 30, 4, 0.8);
  const x = randomNormal([9, 30], { seed: 5 });
  const native = run(x, weight, 20, 4, null, null);
  const input = x.toTypedArray() as Float32Array;
  withBackend(createReferenceBackend(), () => {
    expect(worst(run(tensor(input, [9, 30]), weight, 20, 4, null, null), native)).toBeLessThan(1e-4);
  });
});

// What is faster is measured when the plan is made, and another program may take the processor just then. A sanitizer's
// module, which CLOZE_NATIVE names, has other speeds.
const instrumented = Boolean(environmentVariable("CLOZE_NATIVE"));
test.skipIf(instrumented)("plans take blocks where they are faster, and dense weights where not", { retry: 3 }, () => {
  const batch = {
    ids: Int32Array.of(1, 2, 3),
    segments: new Int32Array(3),
    positions: new Int32Array(3),
    offsets: Int32Array.of(0, 3),
  };
  const table = randomNormal([5, 512], { seed: 1 });
  for (const [sparsity, chosen] of [
    [0.9, true],
    [0, false],
  ] as const) {
    const weight = tensor(pruned(512, 512, 16, sparsity), [512, 512]);
    expect(fastestBlocks(weight) !== undefined).toBe(chosen);
    const [plain, sparse] = (["float32", "sparse"] as const).map((weights) => {
      const builder = createPlanBuilder({ weights });
      const plan = builder.build(builder.linear(builder.take(table, builder.inputs.ids), weight));
      const result = plan.run(batch);
      plan.close();
      return result;
    });
    expect(worst(plain, sparse)).toBeLessThan(1e-3);
  }
});
