import { expect, test } from "vitest";
import { backward, grad } from "./autograd.js";
import { checkpoint } from "./checkpoint.js";
import { composed, noGrad } from "./graph.js";
import { memory, scope } from "./memory.js";
import { gelu } from "./ops/activation.js";
import { dropout } from "./ops/dropout.js";
import { add, mul } from "./ops/elementwise.js";
import { linear } from "./ops/linear.js";
import { sum } from "./ops/reduce.js";
import { parameter, type Tensor, tensor } from "./tensor.js";
import { gradientCheck, sampleNumbers } from "./testing/index.js";

const rows = 8;
const width = 16;
const numbers = (count: number, seed: number) => Float32Array.from(sampleNumbers(count, seed), (x) => x / 4);
const makeWeights = (): Tensor[] =>
  [1, 2, 3].map((seed) => parameter(tensor(numbers(width * width, seed), [width, width])));

type Wrap = (body: (x: Tensor) => Tensor, x: Tensor) => Tensor;
const plain: Wrap = (body, x) => body(x);
const saving: Wrap = (body, x) => checkpoint(body, [x]);

/** Three layers; the bytes that are kept for the backward pass, and all gradients. */
function train(wrap: Wrap, outer: Wrap = plain) {
  const weights = makeWeights();
  const input = tensor(numbers(rows * width, 9), [rows, width]).requireGrad();
  const before = memory.stats().byKind.saved;
  let saved = 0;
  const loss = scope(() => {
    const run = (start: Tensor): Tensor =>
      weights.reduce((state, weight, i) => {
        const layer = (x: Tensor): Tensor => {
          const y = dropout(gelu(linear(x, weight)), 0.2, 70 + i);
          // Both sides of a product and of a sum are the same tensor.
          return add(add(x, x), mul(y, y));
        };
        return wrap(layer, state);
      }, start);
    const y = outer(run, input);
    const total = sum(mul(y, y));
    saved = memory.stats().byKind.saved - before;
    return total;
  });
  backward(loss);
  const gradients = [...weights, input].map((leaf) => leaf.grad?.toTypedArray());
  const value = loss.item();
  for (const leaf of [...weights, input, loss]) leaf.dispose();
  expect(memory.stats().byKind.saved).toBe(before);
  return { saved, gradients, value };
}

test("gradients are the same bits, and little is kept", () => {
  const usual = train(plain);
  const small = train(saving);
  expect(small.value).toBe(usual.value);
  expect(small.gradients).toEqual(usual.gradients);
  expect(usual.gradients.every((gradient) => gradient?.some((x) => x !== 0))).toBe(true);
  // What enters each layer (the first one's is the leaf), and the output, which the loss saves.
  const state = 4 * rows * width;
  expect(small.saved).toBeLessThanOrEqual(4 * state);
  expect(usual.saved).toBeGreaterThanOrEqual(10 * state);
});

test("checkpoints inside a checkpoint", () => {
  const usual = train(plain);
  const nested = train(saving, saving);
  expect(nested.gradients).toEqual(usual.gradients);
  expect(nested.saved).toBeLessThanOrEqual(2 * 4 * rows * width);
});

test("an input twice, tensors from outside, several outputs, second derivatives", () => {
  gradientCheck(
    (a, b) => {
      const outside = mul(a, b);
      return checkpoint((x, y) => add(mul(x, y), mul(x, outside)), [a, a]);
    },
    [[3], [3]],
  );
  gradientCheck(
    (a, b) => {
      const [x, y] = checkpoint((p, q) => [mul(p, q), mul(p, mul(q, q))], [a, b]);
      return add(x, mul(y, x));
    },
    [[3], [3]],
  );
  gradientCheck(
    (a) => {
      const y = sum(checkpoint((x) => mul(x, mul(x, x)), [a]));
      const [first] = composed(() => grad([y], [a], { createGraph: true }));
      return mul(first, a);
    },
    [[3]],
  );
});

test("a graph that is kept runs twice; one that nobody asks frees what it held", () => {
  const x = parameter(tensor([1, 2, 3]));
  const before = memory.stats();
  scope(() => {
    const y = sum(checkpoint((a) => mul(a, mul(a, a)), [x]));
    backward(y, { retainGraph: true });
    backward(y);
  });
  expect(x.grad?.toArray()).toEqual([6, 24, 54]);
  x.grad?.dispose();
  x.grad = undefined;
  scope(() => void checkpoint((a) => mul(a, mul(a, a)), [mul(x, 2)]));
  scope(() => void noGrad(() => checkpoint((a) => mul(a, a), [x])));
  expect(memory.stats().liveBytes).toBe(before.liveBytes);
  expect(memory.stats().byKind.saved).toBe(before.byKind.saved);
  x.dispose();
});

test("a body that changes is refused", () => {
  const x = parameter(tensor([1, 2, 3]));
  let calls = 0;
  scope(() => {
    const y = sum(checkpoint((a) => (calls++ === 0 ? mul(a, a) : gelu(a)), [x]));
    expect(() => backward(y)).toThrow(expect.objectContaining({ code: "CHECKPOINT_CHANGED" }));
  });
  x.dispose();
});

test("a frozen weight keeps no input, and an input without gradient no weight", () => {
  const x = tensor(numbers(rows * width, 9), [rows, width]);
  const [weight, frozen] = makeWeights();
  frozen.requireGrad(false);
  const before = memory.stats().byKind.saved;
  scope(() => {
    const y = linear(x, weight);
    const first = memory.stats().byKind.saved;
    expect(first - before).toBe(x.storage.bytes);
    const z = linear(y, frozen, undefined, { activation: "gelu" });
    // Only what GELU looks at.
    expect(memory.stats().byKind.saved - first).toBe(x.storage.bytes);
    backward(sum(z));
  });
  expect(weight.grad?.shape).toEqual([width, width]);
  expect(frozen.grad).toBeUndefined();
});
