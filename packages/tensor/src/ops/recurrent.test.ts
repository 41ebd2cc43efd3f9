import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { backward, grad } from "../autograd.js";
import { createNativeBackend, createReferenceBackend, withBackend } from "../backend/index.js";
import { composed, noGrad } from "../graph.js";
import { memory, scope } from "../memory.js";
import { elementCount, type Shape } from "../shape.js";
import { type Tensor, tensor } from "../tensor.js";
import { expectClose, expectNativeEqualsReference, gradientCheck, sampleNumbers } from "../testing/index.js";
import { add, mul } from "./elementwise.js";
import { linear } from "./linear.js";
import { concat, contiguous, slice, transpose } from "./movement.js";
import { gru, lstm, type RecurrentOptions } from "./recurrent.js";
import { sum } from "./reduce.js";

const sample = (shape: Shape, seed = 1, scale = 0.5): Tensor =>
  tensor(
    Float32Array.from(sampleNumbers(elementCount(shape), seed), (x) => x * scale),
    shape,
  );
const offsets = (...lengths: number[]) => {
  let end = 0;
  return tensor(Int32Array.of(0, ...lengths.map((length) => (end += length))));
};
const cells = { lstm: { run: lstm, gates: 4 }, gru: { run: gru, gates: 3 } };
const directions = ["forward", "backward", "both"] as const;
const ways = (direction: string) => (direction === "both" ? 2 : 1);

interface Golden {
  x: number[];
  y: number[];
  gradient: number[];
  xGradient: number[];
  parameters: Record<string, { shape: number[]; value: number[]; gradient: number[] }>;
}
const golden = JSON.parse(readFileSync(new URL("../../test/fixtures/recurrent.json", import.meta.url), "utf8"));

describe.each(Object.entries(cells))("%s", (name, { run, gates }) => {
  test("equals PyTorch's, two layers in both directions, with gradients", () => {
    const { x, y, gradient, xGradient, parameters } = golden[name] as Golden;
    const list = offsets(...golden.lengths);
    const of = (key: string) => parameters[key];
    scope(() => {
      const input = tensor(Float32Array.from(x), [9, 4]).requireGrad();
      const leaves = new Map(
        Object.entries(parameters).map(([key, { shape, value }]) => [
          key,
          tensor(Float32Array.from(value), shape).requireGrad(),
        ]),
      );
      const both = (key: string) => concat([leaves.get(key) as Tensor, leaves.get(`${key}_reverse`) as Tensor], 0);
      const hidden = [0, 1].reduce<Tensor>((before, layer) => {
        const projected = linear(before, both(`weight_ih_l${layer}`), both(`bias_ih_l${layer}`));
        const bias = both(`bias_hh_l${layer}`);
        return run(projected, both(`weight_hh_l${layer}`), list, { bias, direction: "both" });
      }, input);
      expectClose(hidden.toTypedArray(), y, 2e-6, "y");
      backward(sum(mul(hidden, tensor(Float32Array.from(gradient), [9, 6]))));
      expectClose(input.grad?.toTypedArray() ?? [], xGradient, 5e-6, "x");
      for (const [key, leaf] of leaves) expectClose(leaf.grad?.toTypedArray() ?? [], of(key).gradient, 1e-5, key);
    });
  });

  for (const direction of directions) {
    const d = ways(direction);
    const shapes = (tokens: number, units: number): Shape[] => [
      [tokens, d * gates * units],
      [d * gates * units, units],
      [d * gates * units],
    ];
    test(`${direction}: has the gradient of finite differences`, () => {
      const list = offsets(0, 3, 1, 0, 4);
      gradientCheck((p, w, b) => run(p, w, list, { bias: b, direction }), shapes(8, 2), { tolerance: 2e-6 });
      gradientCheck((p, w) => run(p, w, list, { direction }), shapes(8, 3).slice(0, 2), { tolerance: 2e-6 });
    });

    test(`${direction}: equals its composed definition, value and gradients, in float64`, () => {
      withBackend(createReferenceBackend(), () => {
        const list = offsets(2, 0, 5, 1, 5);
        const evaluate = () =>
          scope(() => {
            const inputs = shapes(13, 3).map((shape, i) =>
              tensor(sampleNumbers(elementCount(shape), i + 1), shape).requireGrad(),
            );
            const y = run(inputs[0], inputs[1], list, { bias: inputs[2], direction });
            const weights = tensor(sampleNumbers(y.size, 9), y.shape);
            return [y, ...grad([sum(mul(y, weights))], inputs)].map((x) => x.toTypedArray());
          });
        const fused = evaluate();
        composed(evaluate).forEach((values, i) => {
          expectClose(fused[i], values, 1e-9, `result ${i}`);
        });
      });
    });

    test.each([
      [1, [1]],
      [5, [3, 0, 1, 7, 7]],
      [16, [9, 2]],
      [33, [1, 4, 2, 1, 30, 17, 3, 0, 8, 5, 5, 2]],
    ])(`${direction}: runs natively as on the reference, %i units`, (units, lengths) => {
      const list = () => offsets(...lengths);
      const tokens = lengths.reduce((a, b) => a + b);
      const made = () => shapes(tokens, units).map((shape, i) => sample(shape, i + 1, 0.7 / Math.sqrt(units)));
      expectNativeEqualsReference(() => {
        const [p, w, b] = made();
        return run(p, w, list(), { bias: b, direction });
      });
      for (const which of [0, 1, 2]) {
        expectNativeEqualsReference(() => {
          const inputs = made().map((x) => x.requireGrad());
          const y = run(inputs[0], inputs[1], list(), { bias: inputs[2], direction });
          return grad([sum(mul(y, sample(y.shape, 9)))], inputs)[which];
        }, 1e-4);
      }
    });
  }

  test("sequences do not see each other, and both directions are the two alone", () => {
    const [p, w] = [sample([9, 2 * gates * 5]), sample([2 * gates * 5, 5], 2)];
    const list = offsets(4, 0, 5);
    const y = run(p, w, list, { direction: "both" });
    const single = [0, 4].map((start, i) =>
      run(contiguous(slice(p, [{ start, end: [4, 9][i] }])), w, offsets([4, 5][i]), { direction: "both" }),
    );
    expectClose(concat(single, 0).toTypedArray(), y.toTypedArray(), 1e-6);
    const width = gates * 5;
    const way = (d: number, direction: RecurrentOptions["direction"]) => {
      const range = { start: d * width, end: (d + 1) * width };
      return run(slice(p, [{}, range]), slice(w, [range]), list, { direction });
    };
    expectClose(concat([way(0, "forward"), way(1, "backward")], 1).toTypedArray(), y.toTypedArray(), 1e-6);
  });

  test("no tokens at all; views; gradients add up in a leaf", () => {
    const none = run(sample([0, gates * 2]), sample([gates * 2, 2]), offsets(0, 0));
    expect(none.shape).toEqual([0, 2]);
    const w = sample([gates * 2, 2]).requireGrad();
    const p = transpose(sample([gates * 2, 4]));
    const loss = () => sum(run(p, w, offsets(3, 1)));
    backward(loss());
    const once = Array.from(w.grad?.toTypedArray() ?? [], (x) => 2 * x);
    backward(loss());
    expectClose(w.grad?.toTypedArray() ?? [], once, 1e-6);
    expectClose(grad([add(loss(), loss())], [w])[0].toTypedArray(), once, 1e-6);
  });

  test("results do not depend on the number of threads, and nothing is left behind", () => {
    const native = createNativeBackend();
    if (native === undefined) throw new Error("The native module is not built: run npm run build:native");
    withBackend(native, () => {
      const threads = native.threads();
      const evaluate = () =>
        scope(() => {
          const inputs = [sample([120, gates * 40], 1), sample([gates * 40, 40], 2, 0.1)].map((x) => x.requireGrad());
          const y = run(inputs[0], inputs[1], offsets(20, 30, 10, 15, 5, 5, 20, 1, 2, 12));
          return [y, ...grad([sum(mul(y, sample(y.shape, 4)))], inputs)].map((t) => t.toTypedArray());
        });
      native.setThreads(1);
      const one = evaluate();
      const before = memory.stats().allocations;
      for (const count of [2, 3]) {
        native.setThreads(count);
        expect(evaluate()).toEqual(one);
      }
      native.setThreads(threads);
      expect(memory.stats().allocations).toBe(before);
    });
  });

  test("says what does not fit", () => {
    const code = (value: string) => expect.objectContaining({ code: value });
    const [p, w] = [sample([4, gates * 2]), sample([gates * 2, 2])];
    expect(() => run(p, sample([gates * 2, 3]), offsets(4))).toThrow(code("SHAPE_MISMATCH"));
    expect(() => run(p, w, offsets(4), { direction: "both" })).toThrow(code("SHAPE_MISMATCH"));
    expect(() => run(p, w, offsets(4), { bias: sample([3]) })).toThrow(code("SHAPE_MISMATCH"));
    expect(() => run(p, w, offsets(3))).toThrow(code("OFFSETS"));
    expect(() => run(p, w, offsets(4), { direction: "sideways" as never })).toThrow(code("INVALID_OPTION"));
    expect(noGrad(() => run(p, w, offsets(4))).shape).toEqual([4, 2]);
  });
});
