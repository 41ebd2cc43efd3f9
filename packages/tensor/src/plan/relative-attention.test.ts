import { expect, test } from "vitest";
import { type Backend, createReferenceBackend, withBackend } from "../backend/index.js";
import { randomNormal } from "../random.js";
import type { Tensor } from "../tensor.js";
import { kernelBuilds } from "../testing/index.js";
import { createPlanBuilder } from "./builder.js";

const lengthsOf = [[1], [5, 0, 17], [16, 1, 33], [130, 2, 41], [200]];
const span = 320;

/** Attention over rows of a table, with those of the tables of distances that are wanted. */
function run(lengths: readonly number[], heads: number, size: number, wanted: readonly string[]): Float32Array {
  const offsets = Int32Array.from([0, ...lengths]);
  for (let i = 1; i < offsets.length; i++) offsets[i] += offsets[i - 1];
  const tokens = offsets[lengths.length];
  const table = randomNormal([400, 3 * heads * size], { seed: 1, std: 0.5 });
  const about = (name: string, width: number): Tensor | undefined =>
    wanted.includes(name) ? randomNormal([2 * span - 1, width], { seed: name.length, std: 0.5 }) : undefined;
  const builder = createPlanBuilder();
  const qkv = builder.take(table, builder.inputs.ids);
  const y = builder.relativeAttention(qkv, {
    heads,
    scale: 0.4,
    bias: about("bias", heads),
    keys: about("keys", heads * size),
    queries: about("queries", heads * size),
    span,
  });
  const plan = builder.build(y);
  const ids = Int32Array.from({ length: tokens }, (_, i) => (7 * i) % 400);
  const result = plan.run({ ids, segments: ids, positions: ids, offsets });
  expect(plan.longest).toBe(span);
  plan.close();
  return result;
}

const cases = lengthsOf.flatMap((lengths, i) =>
  [["bias"], ["keys"], ["queries"], ["bias", "keys", "queries"]]
    .filter((_, which) => lengths[0] < 100 || which === 3)
    .map((wanted) => {
      const [heads, size] = i % 2 === 1 ? [3, 5] : [1, 16];
      return { lengths, wanted, heads, size };
    }),
);
const oracle = cases.map(({ lengths, heads, size, wanted }) =>
  withBackend(createReferenceBackend(), () => run(lengths, heads, size, wanted)),
);

for (const { isa, backend } of kernelBuilds()) {
  test.skipIf(backend === undefined)(`${isa} = reference, for each table of distances and all, any lengths`, () => {
    for (const [i, { lengths, wanted, heads, size }] of cases.entries()) {
      const got = withBackend(backend as Backend, () => run(lengths, heads, size, wanted));
      const expected = oracle[i];
      const worst = got.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
      expect(got, `${lengths} ${wanted}`).toHaveLength(expected.length);
      expect(worst, `${lengths} ${wanted}`).toBeLessThan(2e-5);
    }
  });
}

test("a sequence that is longer than the tables is refused", () => {
  expect(() => run([321], 2, 4, ["bias"])).toThrow(expect.objectContaining({ code: "SEQUENCE_TOO_LONG" }));
});
