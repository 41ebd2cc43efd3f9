import { expect, test } from "vitest";
import { type Backend, backend, createReferenceBackend, withBackend } from "../backend/index.js";
import { linear } from "../ops/linear.js";
import { createRandom, randomNormal } from "../random.js";
import { empty, type Tensor, tensor } from "../tensor.js";
import { kernelBuilds } from "../testing/index.js";
import { createPlanBuilder } from "./builder.js";
import { disposeSteps, fastestSteps, findSteps, type StepForm, storeSteps } from "./sparse-int8-weight.js";

const forms: readonly StepForm[] = [
  { height: 16, runs: false },
  { height: 4, runs: false },
  { height: 1, runs: false },
  { height: 1, runs: true },
];

/** A weight of which that share of blocks is zero. */
function pruned(n: number, k: number, [height, width]: readonly [number, number], sparsity: number): Float32Array {
  const random = createRandom(n + k);
  const dense = randomNormal([n, k], { seed: random.fork("values") }).toTypedArray() as Float32Array;
  const across = Math.ceil(k / width);
  const next = random.fork("mask");
  const kept = Array.from({ length: Math.ceil(n / height) * across }, () => next.uniform() >= sparsity);
  return dense.map((value, i) =>
    kept[Math.floor(Math.floor(i / k) / height) * across + Math.floor((i % k) / width)] ? value : 0,
  );
}

/** The product by each form, and by the dense kernel of 8-bit codes. */
function run(x: Tensor, weight: Float32Array, n: number, bias: Tensor | null, residual: Tensor | null, activation = 0) {
  const [m, k] = x.shape;
  const { kernels } = backend();
  const codes = empty([m, kernels.int8RowBytes(k) / 4]);
  const parameters = empty([m, 2]);
  kernels.quantizeRowsF32(x.pointer, codes.pointer, parameters.pointer, m, k);
  const packed = empty([Math.ceil(kernels.packedInt8Bytes(n, k) / 4)]);
  const columns = empty([2, n]);
  kernels.packInt8F32(tensor(weight, [n, k]).pointer, packed.pointer, columns.pointer, n, k);
  const y = empty([m, n]);
  const [a, rows, b, r] = [codes.pointer, parameters.pointer, bias?.pointer ?? null, residual?.pointer ?? null];
  kernels.linearInt8F32(a, rows, packed.pointer, columns.pointer, b, y.pointer, m, n, k, activation, r);
  const dense = y.toTypedArray().slice();
  const sparse = forms.map((form) => {
    const stored = storeSteps(findSteps(weight, n, k, form));
    const { starts, inputs, weights, columns: about } = stored;
    kernels.fillF32(y.pointer, y.size, 7);
    const lists = [starts.pointer, inputs.pointer, weights.pointer, about.pointer] as const;
    kernels.linearSparseInt8F32(
      a,
      rows,
      ...lists,
      b,
      y.pointer,
      m,
      n,
      k,
      form.height,
      Number(form.runs),
      activation,
      r,
    );
    disposeSteps(stored);
    return y.toTypedArray().slice();
  });
  return { dense, sparse };
}

const sizes = [
  [1, 1, 1],
  [3, 17, 5],
  [16, 4, 66],
  [64, 32, 64],
  [65, 70, 33],
  [130, 40, 70],
];
const blocks = [
  [16, 1],
  [4, 1],
  [1, 1],
  [1, 16],
] as const;

for (const { isa, backend: build } of kernelBuilds()) {
  test.skipIf(build === undefined)(`${isa}: what the dense kernel of 8-bit codes gives, bit for bit`, () => {
    withBackend(build as Backend, () => {
      for (const [m, n, k] of sizes) {
        for (const block of blocks) {
          for (const sparsity of [0, 0.8, 1]) {
            const weight = pruned(n, k, block, sparsity);
            const [x, bias, residual] = [[m, k], [n], [m, n]].map((shape, i) => randomNormal(shape, { seed: i + 2 }));
            const { dense, sparse } = run(x, weight, n, bias, residual, 1);
            for (const [form, y] of sparse.entries()) {
              const wrong = y.findIndex((value, i) => value !== dense[i]);
              expect(wrong, `${m} ${n} ${k} ${block} ${form}`).toBe(-1);
            }
          }
        }
      }
    });
  });
}

test("extreme codes: every sum is the exact integer", () => {
  for (const k of [1, 3, 64, 1025]) {
    const x = tensor(new Float32Array(5 * k).fill(255), [5, k]);
    const weight = Float32Array.from({ length: 4 * k }, (_, i) => [127, -127, 127, -127][Math.floor(i / k)]);
    for (const y of run(x, weight, 4, null, null).sparse) {
      for (let row = 0; row < 5; row++) {
        const exact = [255 * 127 * k, -255 * 127 * k, 255 * 127 * k, -255 * 127 * k].map(Math.fround);
        expect(Array.from(y.slice(4 * row, 4 * row + 4))).toEqual(exact);
      }
    }
  }
});

test.skipIf(backend().name === "reference")("native = reference", () => {
  const weight = pruned(20, 30, [4, 1], 0.8);
  const input = randomNormal([9, 30], { seed: 5 }).toTypedArray() as Float32Array;
  const native = run(tensor(input, [9, 30]), weight, 20, null, null).sparse;
  withBackend(createReferenceBackend(), () => {
    run(tensor(input, [9, 30]), weight, 20, null, null).sparse.forEach((y, form) => {
      y.forEach((value, i) => {
        expect(Math.abs(value - native[form][i])).toBeLessThan(0.05);
      });
    });
  });
});

test("plans take steps where they are faster, and all codes where not", () => {
  const ids = Int32Array.of(1, 2, 3);
  const batch = { ids, segments: new Int32Array(3), positions: new Int32Array(3), offsets: Int32Array.of(0, 3) };
  const table = randomNormal([5, 512], { seed: 1 });
  // Which is faster is the machine's to say; a weight with few zeros is not even tried.
  for (const sparsity of [0.95, 0]) {
    const weight = tensor(pruned(512, 512, [16, 1], sparsity), [512, 512]);
    if (sparsity === 0) expect(fastestSteps(weight)).toBeUndefined();
    const [coded, sparse] = (["int8", "sparse-int8"] as const).map((weights) => {
      const builder = createPlanBuilder({ weights });
      const plan = builder.build(builder.linear(builder.take(table, builder.inputs.ids), weight));
      const result = plan.run(batch);
      plan.close();
      return result;
    });
    expect(sparse).toEqual(coded);
  }
});

test("a range that was found before: as if each row had it; what lies outside gets the nearest code", () => {
  const ids = Int32Array.of(0, 1);
  const batch = { ids, segments: new Int32Array(2), positions: new Int32Array(2), offsets: Int32Array.of(0, 2) };
  const table = tensor([
    [1, -0.5, 0.25, 3],
    [0.1, 0.2, -4, 0.3],
  ]);
  const weight = tensor([
    [1, 0, 0, 0],
    [0, 1, 0, 0],
    [0, 0, 1, 0],
    [0, 0, 0, 1],
  ]);
  const builder = createPlanBuilder({ weights: "int8" });
  const y = builder.linear(builder.take(table, builder.inputs.ids), weight, undefined, {
    inputRange: { low: -1, high: 2 },
  });
  const plan = builder.build(y);
  const clipped = table.toTypedArray().map((value) => Math.min(2, Math.max(-1, value)));
  plan.run(batch).forEach((value, i) => {
    expect(Math.abs(value - clipped[i])).toBeLessThan(3 / 255);
  });
  plan.close();
  const close = linear(table, weight).toTypedArray();
  expect(close[3]).toBe(3);
});
