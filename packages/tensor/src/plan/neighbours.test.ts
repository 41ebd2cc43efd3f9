// Convolutions and Fourier transforms in plans: every build, WebAssembly's too, against the reference; any lengths, columns
// of wider values.
import { expect, test } from "vitest";
import { type Backend, createReferenceBackend, withBackend } from "../backend/index.js";
import { memory } from "../memory.js";
import { randomNormal } from "../random.js";
import { zeros } from "../tensor.js";
import { kernelBuilds } from "../testing/index.js";
import { createPlanBuilder } from "./builder.js";
import type { PlanBuilder, PlanValue } from "./contract.js";
import { planConvolution } from "./convolution.js";
import { planFourierMix } from "./fourier.js";
import { planActivation, planMultiply, planSoftmax } from "./pointwise.js";

/** Rows of a table through what `write` makes of them. */
function run(lengths: readonly number[], width: number, write: (x: PlanValue, builder: PlanBuilder) => PlanValue) {
  const offsets = Int32Array.from([0, ...lengths]);
  for (let i = 1; i < offsets.length; i++) offsets[i] += offsets[i - 1];
  const table = randomNormal([300, width], { seed: 1 });
  const builder = createPlanBuilder();
  const plan = builder.build(write(builder.take(table, builder.inputs.ids), builder));
  const ids = Int32Array.from({ length: offsets[lengths.length] }, (_, i) => (7 * i) % 300);
  const result = plan.run({ ids, segments: ids, positions: ids, offsets });
  plan.close();
  table.dispose();
  return result;
}

interface Case {
  readonly lengths: readonly number[];
  readonly width: number;
  readonly write: (x: PlanValue, builder: PlanBuilder) => PlanValue;
}

const raggeds = [[1], [0, 5, 0, 17], [16, 1, 33, 2], [31, 64, 7], []];
/** Widths around those of vectors and of four of them at once. */
const widths = [1, 7, 16, 64, 150];
const cases: Record<string, Case> = {};
for (const [i, lengths] of raggeds.entries()) {
  for (const [k, width] of widths.entries()) {
    const taps = [1, 3, 9, 4, 65][(i + k) % 5];
    const add = (name: string, write: Case["write"], columns = width) => {
      cases[`${name}, ${taps} taps, ${width} columns, [${lengths}]`] = { lengths, width: columns, write };
    };
    add("a kernel for each column", (x, builder) => {
      const weights = { ofColumns: randomNormal([taps, width], { seed: 2 }) };
      return planConvolution({ of: x, from: 0 }, { taps, weights }, builder);
    });
    add(
      "a kernel for each head, of the middle columns",
      (x, builder) => {
        const weights = { ofHeads: randomNormal([3, taps], { seed: 3 }) };
        return planConvolution({ of: x, from: 2 }, { taps, width: 3 * width, weights }, builder);
      },
      3 * width + 5,
    );
    add(
      "a kernel for each token and head, into columns of another value",
      (x, builder) => {
        const columns = builder.take(randomNormal([300, 2 * taps], { seed: 4 }), builder.inputs.ids);
        const ofTokens = planSoftmax(columns, 2, builder);
        const into = { of: builder.value(x.width + 3), from: 3 };
        planConvolution({ of: x, from: 0 }, { taps, weights: { ofTokens, heads: 2 }, into }, builder);
        planConvolution({ of: x, from: 0 }, { taps, width: 3, into: { of: into.of, from: 0 } }, builder);
        return into.of;
      },
      2 * Math.max(2, width),
    );
    add(
      "sums of what taps gave, before 2",
      (x, builder) =>
        planConvolution({ of: x, from: 1 }, { taps, before: Math.min(2, taps - 1), width, tapColumns: width }, builder),
      1 + taps * width,
    );
    add("a transform", (x, builder) => planFourierMix(x, 70, builder));
  }
}
// Primes, powers, products; a length that needs Bluestein's detour, in both directions.
for (const width of [2, 37, 41, 96])
  cases[`a transform of ${width} columns`] = {
    lengths: [1, 2, 37, 41, 64, 60, 0, 67],
    width,
    write: (x, builder) => planFourierMix(planFourierMix(x, 67, builder), 67, builder),
  };
cases["activations and products of columns"] = {
  lengths: [3, 18],
  width: 40,
  write: (x, builder) => {
    const wide = builder.take(randomNormal([300, 99], { seed: 5 }), builder.inputs.ids);
    return planActivation(planMultiply(x, { of: wide, from: 30 }, builder), "gelu", builder);
  },
};

const oracle = new Map(
  Object.entries(cases).map(([name, { lengths, width, write }]) => [
    name,
    withBackend(createReferenceBackend(), () => run(lengths, width, write)),
  ]),
);

test("WebAssembly is among the builds", () => {
  expect(kernelBuilds().map(({ backend }) => backend?.name)).toContain("wasm");
});

for (const { isa, backend } of kernelBuilds()) {
  test.skipIf(backend === undefined)(`${isa} = reference`, () => {
    for (const [name, { lengths, width, write }] of Object.entries(cases)) {
      const got = withBackend(backend as Backend, () => run(lengths, width, write));
      const expected = oracle.get(name) as Float32Array;
      const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      const worst = got.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
      expect(got, name).toHaveLength(expected.length);
      expect(worst / scale, name).toBeLessThan(2e-5);
    }
  });
}

test("a plan frees the tables of its transforms", () => {
  const before = memory.stats().liveBytes;
  run([3], 12, (x, builder) => planFourierMix(x, 40, builder));
  expect(memory.stats().liveBytes).toBe(before);
});

test("a sequence that is longer than the tables is refused", () => {
  expect(() => run([41], 12, (x, builder) => planFourierMix(x, 40, builder))).toThrow(
    expect.objectContaining({ code: "SEQUENCE_TOO_LONG" }),
  );
});

const refused: Record<string, (x: PlanValue, builder: PlanBuilder) => PlanValue> = {
  "taps of columns, by other counts": (x, builder) =>
    planConvolution({ of: x, from: 0 }, { taps: 3, weights: { ofColumns: zeros([12, 3]) } }, builder),
  "taps of heads, too few": (x, builder) =>
    planConvolution({ of: x, from: 0 }, { taps: 3, weights: { ofHeads: zeros([4, 2]) } }, builder),
  "heads that do not divide the columns": (x, builder) =>
    planConvolution({ of: x, from: 0 }, { taps: 3, weights: { ofHeads: zeros([5, 3]) } }, builder),
  "taps of tokens, too few": (x, builder) =>
    planConvolution({ of: x, from: 0 }, { taps: 3, weights: { ofTokens: builder.value(11), heads: 4 } }, builder),
  "taps of sequences": (x, builder) => {
    const ofTokens = builder.value(12, "sequence");
    return planConvolution({ of: x, from: 0 }, { taps: 3, weights: { ofTokens, heads: 4 } }, builder);
  },
  "no taps": (x, builder) => planConvolution({ of: x, from: 0 }, { taps: 0 }, builder),
  "more columns than there are": (x, builder) => planConvolution({ of: x, from: 1 }, { taps: 1, width: 12 }, builder),
  "taps that read beyond the columns": (x, builder) =>
    planConvolution({ of: x, from: 0 }, { taps: 4, width: 4, tapColumns: 4 }, builder),
  "a result that is too narrow": (x, builder) =>
    planConvolution({ of: x, from: 0 }, { taps: 1, into: { of: builder.value(14), from: 3 } }, builder),
  "a product with fewer columns": (x, builder) => planMultiply(x, { of: builder.value(13), from: 2 }, builder),
  "a product with rows of sequences": (x, builder) =>
    planMultiply(x, { of: builder.value(12, "sequence"), from: 0 }, builder),
  "groups of unequal size": (x, builder) => planSoftmax(x, 5, builder),
  "a transform over sequences": (_, builder) => planFourierMix(builder.value(12, "sequence"), 9, builder),
  "a transform of no length": (x, builder) => planFourierMix(x, 0, builder),
};

test.each(Object.keys(refused))("what does not fit is refused when the plan is written: %s", (name) => {
  const builder = createPlanBuilder();
  expect(() => refused[name](builder.value(12), builder)).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
});
