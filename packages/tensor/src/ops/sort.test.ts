import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { grad } from "../autograd.js";
import { backend } from "../backend/index.js";
import { randomNormal } from "../random.js";
import { type Tensor, tensor } from "../tensor.js";
import { expectClose, expectNativeEqualsReference, gradientCheck, sampleNumbers } from "../testing/index.js";
import { mul } from "./elementwise.js";
import { permute, slice, transpose } from "./movement.js";
import { sum } from "./reduce.js";
import { cumulativeSum, sort } from "./sort.js";

const sample = (shape: readonly number[]): Tensor => randomNormal(shape, { seed: 5 });

/** Sorts pairs by comparison, as the documentation says. */
function naive(row: readonly number[], descending: boolean): number[] {
  const rank = (x: number) => (Number.isNaN(x) ? Number.POSITIVE_INFINITY : x);
  const nan = (x: number) => Number(Number.isNaN(x));
  return row
    .map((x, i) => ({ x, i }))
    .sort((a, b) => {
      const order = rank(a.x) < rank(b.x) ? -1 : rank(a.x) > rank(b.x) ? 1 : nan(a.x) - nan(b.x);
      return (descending ? -order : order) || a.i - b.i;
    })
    .map(({ i }) => i);
}

describe("sort", () => {
  it("orders any row stably: ties, infinities, NaN, both zeros; short and long, both directions", () => {
    const value = fc.oneof(
      fc.constantFrom(0, -0, 1, 1, -1, Number.NaN, Math.fround(1e-45), Infinity, -Infinity),
      fc.float(),
    );
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 5 }),
        fc.constantFrom(1, 20, 40),
        fc.boolean(),
        (part, times, descending) => {
          const row = Array.from({ length: times }, () => part).flat();
          const { values, indices } = sort(tensor(Float32Array.from(row)), { descending });
          const wanted = naive(row, descending);
          expect([...indices.toTypedArray()]).toEqual(wanted);
          expect(values.toTypedArray()).toEqual(Float32Array.from(wanted, (i) => row[i]));
        },
      ),
      { numRuns: 150 },
    );
  });
  it("sorts whole numbers, each row by itself", () => {
    for (const width of [3, 101]) {
      const data = Int32Array.from({ length: 2 * width }, (_, i) => Math.imul(i, 0x9e3779b9));
      const { values, indices } = sort(tensor(data, [2, width]), { descending: true });
      for (const row of [0, 1]) {
        const wanted = naive([...data.subarray(row * width, (row + 1) * width)], true);
        expect(slice(indices, [{ start: row, end: row + 1 }]).toArray()).toEqual([wanted]);
        expect(slice(values, [{ start: row, end: row + 1 }]).toArray()).toEqual([
          wanted.map((i) => data[row * width + i]),
        ]);
      }
      expect(values.dtype).toBe("int32");
    }
  });
  it("views, empty rows, rows of one", () => {
    const x = transpose(sample([131, 3]));
    const copy = tensor(x.toTypedArray(), x.shape);
    expect(sort(x).values.toArray()).toEqual(sort(copy).values.toArray());
    for (const shape of [[0], [0, 4], [4, 0], [4, 1], [1]]) {
      expect(sort(sample(shape)).values.toArray()).toEqual(sample(shape).toArray());
      expect(sort(sample(shape)).indices.shape).toEqual(shape);
    }
  });
  it("gradients, also of gradients; native equals reference", () => {
    gradientCheck((x) => sort(x).values, [[3, 5]]);
    gradientCheck((x) => sort(transpose(x), { descending: true }).values, [[4, 3]]);
    gradientCheck((x) => grad([sum(mul(sort(x).values, sort(x).values))], [x], { createGraph: true })[0], [[5]]);
    expectNativeEqualsReference(() => sort(sample([7, 67])).values);
  });
  it("refuses scalars and types that have no order here", () => {
    expect(() => sort(tensor(1))).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
    expect(() => sort(tensor(Int8Array.of(1)))).toThrow(expect.objectContaining({ code: "DTYPE_NOT_SUPPORTED" }));
  });
});

describe("cumulativeSum", () => {
  it("adds up along any axis, from either end", () => {
    expect(cumulativeSum(tensor([1, 2, 3])).toArray()).toEqual([1, 3, 6]);
    expect(cumulativeSum(tensor([1, 2, 3]), 0, { reverse: true }).toArray()).toEqual([6, 5, 3]);
    const x = tensor([
      [1, 2],
      [3, 4],
    ]);
    expect(cumulativeSum(x, 0).toArray()).toEqual([
      [1, 2],
      [4, 6],
    ]);
    expect(cumulativeSum(transpose(x)).toArray()).toEqual([
      [1, 4],
      [2, 6],
    ]);
  });
  it("gradients, also of gradients", () => {
    for (const axis of [0, 1, -1]) {
      for (const reverse of [false, true]) gradientCheck((x) => cumulativeSum(x, axis, { reverse }), [[2, 3, 4]]);
    }
    gradientCheck((x) => cumulativeSum(permute(x, [1, 0])), [[4, 3]]);
    const square = (x: Tensor) => sum(mul(cumulativeSum(x), cumulativeSum(x)));
    gradientCheck((x) => grad([square(x)], [x], { createGraph: true })[0], [[5]]);
  });
  it("native equals reference on odd sizes", () => {
    for (const shape of [[0], [1], [3, 0], [0, 3], [131], [17, 67], [3, 5, 37]]) {
      for (const axis of shape.keys()) {
        expectNativeEqualsReference(() => cumulativeSum(sample(shape), axis), 1e-6);
        expectNativeEqualsReference(() => cumulativeSum(sample(shape), axis, { reverse: true }), 1e-6);
      }
    }
  });
  it("keeps its precision over long rows, whatever the number of threads", () => {
    const x = tensor(Float32Array.from(sampleNumbers(300_000)));
    let total = 0;
    const wanted = x.toTypedArray().map((value) => (total += value));
    const before = backend().threads();
    for (const threads of [1, 2]) {
      backend().setThreads(threads);
      expectClose(cumulativeSum(x).toTypedArray(), wanted, 1e-7);
    }
    backend().setThreads(before);
  });
  it("refuses axes that are not there, and whole numbers", () => {
    expect(() => cumulativeSum(tensor([1]), 1)).toThrow(expect.objectContaining({ code: "AXIS_OUT_OF_RANGE" }));
    expect(() => cumulativeSum(tensor(1))).toThrow(expect.objectContaining({ code: "AXIS_OUT_OF_RANGE" }));
    expect(() => cumulativeSum(tensor(Int32Array.of(1)))).toThrow(
      expect.objectContaining({ code: "DTYPE_NOT_SUPPORTED" }),
    );
  });
});
