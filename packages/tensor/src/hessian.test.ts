import { describe, expect, it } from "vitest";
import { grad } from "./autograd.js";
import { createReferenceBackend, withBackend } from "./backend/index.js";
import { hessianVectorProduct } from "./hessian.js";
import { memory, scope } from "./memory.js";
import { gelu } from "./ops/activation.js";
import { add, mul, square, sub, tanh } from "./ops/elementwise.js";
import { linear } from "./ops/linear.js";
import { crossEntropy } from "./ops/loss.js";
import { matmul } from "./ops/matmul.js";
import { transpose } from "./ops/movement.js";
import { layerNorm } from "./ops/norm.js";
import { mean, sum } from "./ops/reduce.js";
import { randomNormal } from "./random.js";
import { parameter, type Tensor, tensor } from "./tensor.js";
import { expectClose } from "./testing/index.js";

const shapes = [[5, 4], [5], [5], [5], [3, 5]];

/** A small network of fused operations, in the type that the backend can do. */
function network(dtype: "float32" | "float64") {
  const random = (shape: readonly number[], seed: number) => randomNormal(shape, { seed, dtype, std: 0.7 });
  const x = random([6, 4], 1);
  const labels = tensor(Int32Array.of(0, 1, 2, 2, 1, 0));
  const loss = ([w1, b1, gamma, beta, w2]: readonly Tensor[]) =>
    crossEntropy(linear(layerNorm(gelu(linear(x, w1, b1)), gamma, beta), w2), labels);
  const parameters = shapes.map((shape, i) => parameter(random(shape, 10 + i)));
  const vectors = shapes.map((shape, i) => random(shape, 20 + i));
  return { loss, parameters, vectors };
}

describe("hessianVectorProduct", () => {
  it("of a quadratic form is the matrix itself", () => {
    const matrix = tensor([
      [2, -1, 0.5],
      [-1, 3, 0],
      [0.5, 0, 1],
    ]);
    const x = parameter(tensor([[0.3], [-2], [5]]));
    const form = ([v]: readonly Tensor[]) => mul(sum(mul(v, matmul(matrix, v))), 0.5);
    const v = tensor([[1], [2], [3]]);
    expectClose(hessianVectorProduct(form, [x], [v])[0].toTypedArray(), matmul(matrix, v).toTypedArray(), 1e-6);
    expect(x.grad).toBeUndefined();
  });
  it("of a linear loss is zero, and of parameters that do not take part", () => {
    const [a, b] = [parameter(tensor([1, 2])), parameter(tensor([3]))];
    const ones = [tensor([1, 1]), tensor([1])];
    const zero = hessianVectorProduct(([v]) => sum(mul(v, 3)), [a, b], ones);
    expect(zero.map((result) => result.toArray())).toEqual([[0, 0], [0]]);
  });
  it("equals finite differences of gradients, through fused operations", () => {
    withBackend(createReferenceBackend(), () => {
      const { loss, parameters, vectors } = network("float64");
      const products = hessianVectorProduct(loss, parameters, vectors);
      const step = 1e-5;
      const gradientsAt = (distance: number) => {
        const moved = parameters.map((p, i) => add(p.detach(), mul(vectors[i], distance)).requireGrad());
        return grad([loss(moved)], moved);
      };
      const [after, before] = [gradientsAt(step), gradientsAt(-step)];
      products.forEach((product, i) => {
        const numeric = mul(sub(after[i], before[i]), 1 / (2 * step));
        expectClose(product.toTypedArray(), numeric.toTypedArray(), 1e-6, `parameter ${i}`);
      });
    });
  });
  it("is symmetric, on the native backend as on the reference", () => {
    const products = (dtype: "float32" | "float64") => {
      const { loss, parameters, vectors } = network(dtype);
      return hessianVectorProduct(loss, parameters, vectors).map((product) => product.toTypedArray());
    };
    const exact = withBackend(createReferenceBackend(), () => products("float64"));
    for (const [i, product] of products("float32").entries()) expectClose(product, exact[i], 2e-5);

    const { loss, parameters, vectors } = network("float32");
    const others = shapes.map((shape, i) => randomNormal(shape, { seed: 50 + i }));
    const dot = (a: readonly Tensor[], b: readonly Tensor[]) =>
      a.reduce((total, value, i) => total + sum(mul(value, b[i])).item(), 0);
    const left = dot(hessianVectorProduct(loss, parameters, vectors), others);
    const right = dot(hessianVectorProduct(loss, parameters, others), vectors);
    expect(Math.abs(left - right)).toBeLessThan(1e-4 * Math.max(1, Math.abs(left)));
  });
  it("frees everything but its results", () => {
    const w = parameter(randomNormal([8, 8], { seed: 1 }));
    const v = randomNormal([8, 8], { seed: 2 });
    const run = () => scope(() => hessianVectorProduct(([p]) => mean(square(tanh(matmul(p, transpose(p))))), [w], [v]));
    run()[0].dispose();
    const before = memory.stats();
    for (let i = 0; i < 20; i++) run()[0].dispose();
    expect(memory.stats().liveBytes).toBe(before.liveBytes);
    expect(memory.stats().byKind).toEqual(before.byKind);
  });
  it("refuses vectors that do not fit, parameters without gradients, losses of several numbers", () => {
    const code = (value: string) => expect.objectContaining({ code: value });
    const w = parameter(tensor([1, 2]));
    const loss = ([p]: readonly Tensor[]) => sum(mul(p, p));
    expect(() => hessianVectorProduct(loss, [w], [])).toThrow(code("SHAPE_MISMATCH"));
    expect(() => hessianVectorProduct(loss, [w], [tensor([1])])).toThrow(code("SHAPE_MISMATCH"));
    expect(() => hessianVectorProduct(([p]) => mul(p, p), [w], [w])).toThrow(code("SHAPE_MISMATCH"));
    expect(() => hessianVectorProduct(loss, [tensor([1])], [tensor([1])])).toThrow(code("NO_GRAPH"));
  });
});
