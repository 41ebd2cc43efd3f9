import { describe, expect, it } from "vitest";
import { backward, grad } from "./autograd.js";
import { noGrad } from "./graph.js";
import { memory, scope } from "./memory.js";
import { add, addInPlace, exp, mul, sub } from "./ops/elementwise.js";
import { matmul } from "./ops/matmul.js";
import { transpose } from "./ops/movement.js";
import { sum } from "./ops/reduce.js";
import { take } from "./ops/rows.js";
import { full, parameter, type Tensor, tensor } from "./tensor.js";

describe("autograd survives", () => {
  it("a tensor used twice", () => {
    const a = tensor([1, 2]).requireGrad();
    const b = add(a, a);
    const c = add(b, b);
    backward(sum(mul(c, c)));
    expect(a.grad?.toArray()).toEqual([32, 64]);
  });
  it("a product of a tensor with itself", () => {
    const a = tensor([3]).requireGrad();
    backward(sum(mul(a, a)));
    expect(a.grad?.toArray()).toEqual([6]);
  });
  it("backward called twice: refused, or added up when the graph is kept", () => {
    const a = tensor([2]).requireGrad();
    const loss = sum(mul(a, a));
    backward(loss, { retainGraph: true });
    backward(loss);
    expect(a.grad?.toArray()).toEqual([8]);
    expect(() => backward(loss)).toThrow(expect.objectContaining({ code: "GRAPH_FREED" }));
  });
  it("a chain of 10,000 operations", () => {
    const a = tensor([1]).requireGrad();
    scope(() => {
      let x: Tensor = a;
      for (let i = 0; i < 10_000; i++) x = add(x, 1);
      backward(sum(x));
    });
    expect(a.grad?.toArray()).toEqual([1]);
  });
  it("a chain of 10,000 operations that is dropped without a backward pass", () => {
    const before = memory.stats().liveBytes;
    const a = tensor([1]).requireGrad();
    scope(() => {
      let x: Tensor = a;
      for (let i = 0; i < 10_000; i++) x = exp(mul(x, 0.1));
    });
    a.dispose();
    expect(memory.stats().liveBytes).toBe(before);
  });
  it("a write in place between the passes: a clear error", () => {
    const a = tensor([1, 2]).requireGrad();
    const b = mul(a, 2);
    const loss = sum(mul(b, b));
    addInPlace(b, tensor([1, 1]));
    expect(() => backward(loss)).toThrow(expect.objectContaining({ code: "TENSOR_MODIFIED" }));
  });
  it("a tensor used after its scope: a clear error", () => {
    let lost: Tensor | undefined;
    scope(() => {
      lost = tensor([1]);
    });
    expect(() => add(lost as Tensor, 1)).toThrow(expect.objectContaining({ code: "TENSOR_DISPOSED" }));
  });
  it("no graph: a clear error", () => {
    const a = tensor([1]).requireGrad();
    expect(() => backward(noGrad(() => sum(a)))).toThrow(expect.objectContaining({ code: "NO_GRAPH" }));
    expect(() => backward(mul(a, tensor([1])).view())).toThrow(expect.objectContaining({ code: "NO_GRAPH" }));
  });
});

describe("grad", () => {
  it("leaves the gradients of leaves alone, and gives zeros where nothing flows", () => {
    const a = tensor([2, 3]).requireGrad();
    const b = tensor([1, 1]).requireGrad();
    const middle = mul(a, a);
    const [toMiddle, toA, toB] = grad([sum(mul(middle, 3))], [middle, a, b]);
    expect([toMiddle.toArray(), toA.toArray(), toB.toArray()]).toEqual([
      [3, 3],
      [12, 18],
      [0, 0],
    ]);
    expect(a.grad).toBeUndefined();
  });
  it("differentiates a gradient: d²(x³) = 6x", () => {
    const x = tensor([2]).requireGrad();
    const [first] = grad([sum(mul(mul(x, x), x))], [x], { createGraph: true });
    const [second] = grad([sum(first)], [x]);
    expect(second.toArray()).toEqual([12]);
  });
});

describe("memory", () => {
  it("a thousand training steps leave live bytes unchanged", () => {
    const w = parameter(full([8, 8], 0.1));
    const table = parameter(full([20, 8], 0.2));
    const ids = tensor(Int32Array.of(3, 7, 3));
    const step = () =>
      scope(() => {
        const x = take(table, ids);
        const error = sub(matmul(x, transpose(w)), 1);
        backward(sum(mul(error, error)));
        for (const leaf of [w, table]) {
          noGrad(() => addInPlace(leaf, mul(leaf.grad as Tensor, -0.001)));
          leaf.grad?.dispose();
          leaf.grad = undefined;
        }
      });
    step();
    const before = memory.stats();
    for (let i = 0; i < 1000; i++) step();
    const after = memory.stats();
    expect(after.liveBytes).toBe(before.liveBytes);
    expect(after.byKind).toEqual(before.byKind);
  });
  it("what a scope returns survives it, everything else goes", () => {
    const before = memory.stats().liveBytes;
    const kept = scope(() => ({ list: [add(mul(tensor([1, 2]), 2), 1)] }));
    expect(kept.list[0].toArray()).toEqual([3, 5]);
    expect(memory.stats().liveBytes).toBe(before + 8);
    kept.list[0].dispose();
    expect(memory.stats().liveBytes).toBe(before);
  });
});
