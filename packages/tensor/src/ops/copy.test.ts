import { expect, test } from "vitest";
import { backward, copyInto, copyOf, mul, parameter, scope, sum, tensor, transpose } from "../index.js";

test("a copy has the same elements and nothing else in common", () => {
  const x = parameter(tensor([[1, 2, 3], [4, 5, 6]])); // biome-ignore format: rows
  const copy = copyOf(x);
  expect(copy.toArray()).toEqual(x.toArray());
  expect(copy.requiresGrad).toBe(false);
  copyInto(copy, tensor([[0, 0, 0], [0, 0, 0]])); // biome-ignore format: rows
  expect(x.toArray()).toEqual([[1, 2, 3], [4, 5, 6]]); // biome-ignore format: rows
});

test("views are read in their order", () => {
  const turned = transpose(tensor([[1, 2, 3], [4, 5, 6]])); // biome-ignore format: rows
  expect(copyOf(turned).toArray()).toEqual([[1, 4], [2, 5], [3, 6]]); // biome-ignore format: rows
  expect(copyOf(tensor(new Int32Array([7, 8]))).toArray()).toEqual([7, 8]);
  expect(copyOf(tensor(new Float32Array(0), [0, 3])).shape).toEqual([0, 3]);
});

test("what does not fit is refused, and nothing is written", () => {
  const target = tensor([1, 2]);
  for (const source of [tensor([1, 2, 3]), tensor(new Int32Array([1, 2])), tensor([[1], [2]])]) {
    expect(() => copyInto(target, source)).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
  }
  const gaps = transpose(tensor([[1, 2], [3, 4]])); // biome-ignore format: rows
  expect(() => copyInto(gaps, tensor([[0, 0], [0, 0]]))).toThrow(/copyInto/); // biome-ignore format: rows
  expect(target.toArray()).toEqual([1, 2]);
});

test("a backward pass notices what was written over", () => {
  const x = parameter(tensor([1, 2]));
  scope(() => {
    const y = sum(mul(x, x));
    copyInto(x, tensor([3, 4]));
    expect(() => backward(y)).toThrow();
  });
});
