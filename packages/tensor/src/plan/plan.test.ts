import { expect, test } from "vitest";
import { createReferenceBackend, withBackend } from "../backend/index.js";
import { noGrad } from "../graph.js";
import { memory, scope } from "../memory.js";
import { selfAttention } from "../ops/attention.js";
import { add } from "../ops/elementwise.js";
import { linear } from "../ops/linear.js";
import { layerNorm } from "../ops/norm.js";
import { gate } from "../ops/rotary.js";
import { take } from "../ops/rows.js";
import { segmentMean } from "../ops/segment.js";
import { randomNormal } from "../random.js";
import { type Tensor, tensor } from "../tensor.js";
import { createPlanBuilder } from "./builder.js";
import type { PlanBatch } from "./contract.js";

const batchOf = (lengths: readonly number[]): PlanBatch => {
  const offsets = Int32Array.from([0, ...lengths]);
  for (let i = 1; i < offsets.length; i++) offsets[i] += offsets[i - 1];
  const tokens = offsets[lengths.length];
  return {
    ids: Int32Array.from({ length: tokens }, (_, i) => (i * 7) % 50),
    segments: new Int32Array(tokens),
    positions: Int32Array.from(lengths.flatMap((length) => Array.from({ length }, (_, i) => i))),
    offsets,
  };
};

/** Embeddings, one post-norm layer, and the mean, as a plan and from operations. */
function model(hidden = 32, heads = 4, inner = 48) {
  const weight = (name: string, ...shape: number[]): Tensor =>
    randomNormal(shape, { seed: name.length * 31 + shape[0], std: 0.3 });
  const w = {
    words: weight("words", 50, hidden),
    places: weight("places", 400, hidden),
    qkv: weight("qkv", 3 * hidden, hidden),
    qkvBias: weight("qkvBias", 3 * hidden),
    out: weight("out", hidden, hidden),
    gamma: weight("gamma", hidden),
    beta: weight("beta", hidden),
    up: weight("up", inner, hidden),
    upBias: weight("upBias", inner),
    down: weight("down", hidden, inner),
  };
  const plan = (options?: { composed?: boolean }) => {
    const b = createPlanBuilder();
    const { ids, positions } = b.inputs;
    const x = b.layerNorm(b.take(w.words, ids), w.gamma, w.beta, {
      epsilon: 1e-12,
      residual: b.take(w.places, positions),
    });
    const mixed = b.linear(b.attention(b.linear(x, w.qkv, w.qkvBias), { heads }), w.out, undefined, { residual: x });
    const y = b.layerNorm(mixed, w.gamma, w.beta, { epsilon: 1e-12 });
    const z = b.linear(b.linear(y, w.up, w.upBias, { activation: "gelu" }), w.down);
    return b.build(b.pool(b.layerNorm(z, w.gamma, undefined, { epsilon: 1e-12, residual: y }), "mean"), options);
  };
  const composed = ({ ids, positions, offsets }: PlanBatch): Float32Array =>
    scope(() =>
      noGrad(() => {
        const x = layerNorm(take(w.words, tensor(ids)), w.gamma, w.beta, {
          residual: take(w.places, tensor(positions)),
        });
        const ends = tensor(offsets);
        const mixed = add(linear(selfAttention(linear(x, w.qkv, w.qkvBias), ends, { heads }), w.out), x);
        const y = layerNorm(mixed, w.gamma, w.beta);
        const z = linear(linear(y, w.up, w.upBias, { activation: "gelu" }), w.down);
        return segmentMean(layerNorm(z, w.gamma, undefined, { residual: y }), ends).toTypedArray() as Float32Array;
      }),
    );
  return { plan, composed };
}

const difference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), a.length === b.length ? 0 : Number.NaN);

const shapes = [[1], [5, 0, 3], [17, 1, 16, 30], [128, 200, 300], Array.from({ length: 64 }, (_, i) => i * 3)];

test("a plan computes what its operations compute, for any sizes, in one native call and call by call", async () => {
  const { plan, composed } = model();
  const [native, plain] = [plan(), plan({ composed: true })];
  for (const lengths of shapes) {
    const batch = batchOf(lengths);
    const expected = composed(batch);
    expect(difference(native.run(batch), expected), `${lengths}`).toBeLessThan(2e-5);
    expect(difference(plain.run(batch), expected), `${lengths}`).toBeLessThan(2e-5);
    expect(difference(await native.runAsync(batch), expected)).toBeLessThan(2e-5);
  }
  native.close();
  plain.close();
});

test("the reference backend runs plans too", () => {
  withBackend(createReferenceBackend(), () => {
    const { plan, composed } = model(8, 2, 12);
    const batch = batchOf([3, 1, 4]);
    const made = plan();
    expect(difference(made.run(batch), composed(batch))).toBeLessThan(1e-4);
    made.close();
  });
});

test("runs may overlap, and a closed plan frees everything and says so", async () => {
  const { plan, composed } = model();
  const before = memory.stats().liveBytes;
  const made = plan();
  const batches = [[4, 9], [200, 31, 8], [1], [64, 64, 64, 64, 64, 64]].map(batchOf);
  const results = await Promise.all(batches.flatMap((batch) => [made.runAsync(batch), made.runAsync(batch)]));
  batches.forEach((batch, i) => {
    const expected = composed(batch);
    expect(difference(results[2 * i], expected)).toBeLessThan(2e-5);
    expect(results[2 * i + 1]).toEqual(results[2 * i]);
  });
  made.close();
  expect(memory.stats().liveBytes).toBe(before);
  expect(() => made.run(batches[0])).toThrow(expect.objectContaining({ code: "PLAN_CLOSED" }));
});

test("a plan that is closed while it runs keeps its weights until it is done, then frees them", async () => {
  const { plan, composed } = model();
  const batch = batchOf([200, 150, 8]);
  const expected = composed(batch);
  const before = memory.stats().liveBytes;
  const made = plan();
  const running = [made.runAsync(batch), made.runAsync(batch)];
  made.close();
  // What freed weights would have left is written over.
  const others = Array.from({ length: 20 }, (_, i) => randomNormal([96, 32], { seed: i }));
  for (const result of await Promise.all(running)) expect(difference(result, expected)).toBeLessThan(2e-5);
  for (const other of others) other.dispose();
  expect(memory.stats().liveBytes).toBe(before);
});

test("numbers that a batch brings for each token reach the plan, and must be as many as it takes", async () => {
  const weight = randomNormal([5, 3], { seed: 1 });
  const table = randomNormal([50, 5], { seed: 2 });
  const builder = createPlanBuilder();
  const values = builder.tokenValues(3);
  expect(() => builder.tokenValues(3)).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  const plan = builder.build(
    builder.linear(values, weight, undefined, { residual: builder.take(table, builder.inputs.ids) }),
  );
  expect(plan.valueWidth).toBe(3);
  const batch = { ...batchOf([2, 4]), values: Float32Array.from({ length: 18 }, (_, i) => Math.cos(i)) };
  const expected = scope(() =>
    add(linear(tensor(batch.values, [6, 3]), weight), take(table, tensor(batch.ids))).toTypedArray(),
  ) as Float32Array;
  expect(difference(plan.run(batch), expected)).toBeLessThan(2e-5);
  expect(difference(await plan.runAsync(batch), expected)).toBeLessThan(2e-5);
  expect(() => plan.run(batchOf([2, 4]))).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  plan.close();
});

test("a batch without tokens gives nothing", () => {
  const made = model().plan();
  expect(made.run(batchOf([]))).toHaveLength(0);
  expect(made.run(batchOf([0, 0]))).toHaveLength(64);
  made.close();
});

test("quick GELU: in products, with what is added to them, and in gates", () => {
  const batch = batchOf([3, 5]);
  const [table, weight, bias] = [[50, 8], [8, 8], [8]].map((shape, i) => randomNormal(shape, { seed: i + 1 }));
  const activation = "quickGelu";
  const builder = createPlanBuilder();
  const x = builder.take(table, builder.inputs.ids);
  const plan = builder.build(builder.gate(builder.linear(x, weight, bias, { activation, residual: x }), activation));
  const expected = scope(() => {
    const rows = take(table, tensor(batch.ids));
    return gate(add(linear(rows, weight, bias, { activation }), rows), activation).toTypedArray() as Float32Array;
  });
  expect(difference(plan.run(batch), expected)).toBeLessThan(2e-5);
  plan.close();
});
