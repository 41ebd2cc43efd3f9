import { describe, expect, it } from "vitest";
import { backward } from "../autograd.js";
import { mul } from "../ops/elementwise.js";
import { sum } from "../ops/reduce.js";
import { take } from "../ops/rows.js";
import { parameter, type Tensor, tensor } from "../tensor.js";
import { expectClose, expectNativeEqualsReference, sampleNumbers } from "../testing/index.js";
import { type AdafactorOptions, createAdafactor } from "./adafactor.js";
import { createAdamW } from "./adamw.js";
import { createLamb } from "./lamb.js";
import type { Optimizer, ParameterGroup } from "./optimizer.js";
import { createSgd } from "./sgd.js";

const leaf = (values: ArrayLike<number>, shape: readonly number[], sparseRows = false): Tensor =>
  parameter(tensor(Float32Array.from(values), shape), { sparseRows });
const setGradient = (to: Tensor, values: ArrayLike<number>): void => {
  to.grad?.dispose();
  to.grad = tensor(Float32Array.from(values), to.shape).keep("gradients");
};
const rootMeanSquare = (x: ArrayLike<number>): number =>
  Math.sqrt(Array.from(x).reduce((total, value) => total + value * value, 0) / x.length);

type Make = (groups: ParameterGroup[]) => Optimizer;
const makers: Record<string, Make> = {
  adamw: (groups) => createAdamW(groups),
  sgd: (groups) => createSgd(groups),
  momentum: (groups) => createSgd(groups, { momentum: 0.9, dampening: 0.2 }),
  nesterov: (groups) => createSgd(groups, { momentum: 0.9, nesterov: true }),
  lamb: (groups) => createLamb(groups),
  adafactor: (groups) => createAdafactor(groups),
  adafactorMomentum: (groups) => createAdafactor(groups, { beta1: 0.9, relativeStep: false }),
};

/** Trains p of a shape for some steps with gradients that depend on the step alone. */
function train(make: Make, shape: readonly number[], steps = 8, scale: (step: number) => number = () => 1) {
  const size = shape.reduce((a, b) => a * b, 1);
  const p = leaf(sampleNumbers(size, 3), shape);
  const optimizer = make([{ name: "a", parameters: [["p", p]], learningRate: 0.01, weightDecay: 0.1 }]);
  const run = (from: number, to: number) => {
    for (let step = from; step < to; step++) {
      setGradient(p, sampleNumbers(size, 50 + step));
      optimizer.step(scale(step), 0.5);
    }
  };
  run(0, steps);
  return { p, optimizer, run };
}

/** The same with a rule in float64: rule(p, g, step) changes p. */
function expected(
  shape: readonly number[],
  rule: (p: Float64Array, g: Float64Array, step: number) => void,
  steps = 8,
): Float64Array {
  const size = shape.reduce((a, b) => a * b, 1);
  const p = Float64Array.from(Float32Array.from(sampleNumbers(size, 3)));
  for (let step = 0; step < steps; step++)
    rule(
      p,
      sampleNumbers(size, 50 + step).map((x) => Math.fround(x) / 2),
      step + 1,
    );
  return p;
}

describe("every optimizer", () => {
  for (const [name, make] of Object.entries(makers)) {
    it(`${name}: native equals reference`, () => {
      for (const shape of [[1], [31], [7, 13], [2, 3, 5], []]) {
        expectNativeEqualsReference(() => train(make, shape).p.detach(), 5e-6);
      }
    });
    it(`${name}: resumed equals uninterrupted, bit for bit`, () => {
      for (const shape of [[37], [5, 9]]) {
        const whole = train(make, shape, 9).p.toTypedArray();
        const first = train(make, shape, 4);
        const state = new Map(first.optimizer.state());
        const second = train(make, shape, 0);
        second.optimizer.loadState(state);
        second.p.storage.backend.write(first.p.toTypedArray(), second.p.pointer);
        first.optimizer.dispose();
        second.run(4, 9);
        expect(second.p.toTypedArray()).toEqual(whole);
      }
    });
    it(`${name}: a table of which every row is touched is trained as a dense one`, () => {
      const ids = tensor(Int32Array.of(2, 0, 1, 2));
      const [sparse, dense] = [true, false].map((sparseRows) => {
        const table = leaf(sampleNumbers(15), [3, 5], sparseRows);
        const optimizer = make([{ name: "a", parameters: [["t", table]], learningRate: 0.01, weightDecay: 0.1 }]);
        for (let step = 0; step < 4; step++) {
          const x = take(table, ids);
          backward(sum(mul(x, x)));
          optimizer.step();
          optimizer.zeroGrad();
        }
        return table.toTypedArray();
      });
      expectClose(sparse, dense, 1e-6);
    });
    it(`${name}: learns`, () => {
      const p = leaf(sampleNumbers(12), [3, 4]);
      const optimizer = make([{ name: "a", parameters: [["p", p]], learningRate: 0.01 }]);
      const loss = () => sum(mul(p, p));
      const before = loss().item();
      for (let step = 0; step < 100; step++) {
        backward(loss());
        optimizer.step();
        optimizer.zeroGrad();
      }
      expect(loss().item()).toBeLessThan(before * 0.8);
    });
  }
});

describe("SGD", () => {
  it("follows PyTorch's formulas", () => {
    for (const [momentum, dampening, nesterov] of [
      [0, 0, false],
      [0.9, 0, false],
      [0.9, 0.3, false],
      [0.8, 0, true],
    ] as const) {
      const { p } = train((groups) => createSgd(groups, { momentum, dampening, nesterov }), [43]);
      let buffer = new Float64Array(43);
      const wanted = expected([43], (q, gradient, step) => {
        const d = gradient.map((g, i) => g + 0.1 * q[i]);
        buffer = step === 1 ? d.slice() : buffer.map((b, i) => momentum * b + (1 - dampening) * d[i]);
        for (let i = 0; i < q.length; i++)
          q[i] -= 0.01 * (momentum === 0 ? d[i] : nesterov ? d[i] + momentum * buffer[i] : buffer[i]);
      });
      expectClose(p.toTypedArray(), wanted, 2e-6);
    }
  });
  it("refuses nesterov without momentum", () => {
    expect(() => createSgd([], { nesterov: true })).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
  });
});

describe("LAMB", () => {
  const rule = (size: number) => {
    const m = new Float64Array(size);
    const v = new Float64Array(size);
    return (p: Float64Array, g: Float64Array, t: number) => {
      const u = p.map((w, i) => {
        m[i] = 0.9 * m[i] + 0.1 * g[i];
        v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
        return m[i] / (1 - 0.9 ** t) / (Math.sqrt(v[i] / (1 - 0.999 ** t)) + 1e-6) + 0.1 * w;
      });
      const trust = rootMeanSquare(p) / rootMeanSquare(u);
      for (let i = 0; i < size; i++) p[i] -= 0.01 * trust * u[i];
    };
  };
  it("follows its formulas", () => {
    for (const size of [1, 53]) {
      const { p } = train((groups) => createLamb(groups), [size]);
      expectClose(p.toTypedArray(), expected([size], rule(size)), 5e-6);
    }
  });
  it("moves a parameter that is all zeros", () => {
    const p = leaf([0, 0], [2]);
    const optimizer = createLamb([{ name: "a", parameters: [["p", p]], learningRate: 0.1 }]);
    setGradient(p, [1, -1]);
    optimizer.step();
    expectClose(p.toTypedArray(), [-0.1, 0.1], 1e-5);
  });
});

describe("Adafactor", () => {
  /** As transformers computes it, in float64; shape [rows, columns] or [count]. */
  const rule = (shape: readonly number[], options: AdafactorOptions, scale: (step: number) => number) => {
    const [rows, columns] = shape.length === 2 ? shape : [1, shape[0]];
    const factored = shape.length === 2;
    const row = new Float64Array(rows);
    const column = new Float64Array(columns);
    const full = new Float64Array(rows * columns);
    const first = new Float64Array(rows * columns);
    const { beta1, relativeStep = true, scaleParameter = true, warmupInit = false, clipThreshold = 1 } = options;
    return (p: Float64Array, g: Float64Array, t: number) => {
      const base = relativeStep ? Math.min(warmupInit ? 1e-6 * t : 1e-2, 1 / Math.sqrt(t)) : 0.01;
      const rate = base * scale(t - 1) * (scaleParameter ? Math.max(1e-3, rootMeanSquare(p)) : 1);
      const beta2 = 1 - t ** -0.8;
      const squared = g.map((x) => x * x + 1e-30);
      let u: Float64Array;
      if (factored) {
        for (let r = 0; r < rows; r++)
          row[r] =
            beta2 * row[r] +
            (1 - beta2) * rootMeanSquare(squared.slice(r * columns, (r + 1) * columns).map(Math.sqrt)) ** 2;
        for (let c = 0; c < columns; c++)
          column[c] =
            beta2 * column[c] +
            (1 - beta2) * rootMeanSquare(squared.filter((_, i) => i % columns === c).map(Math.sqrt)) ** 2;
        const mean = row.reduce((a, b) => a + b, 0) / rows;
        u = g.map((x, i) => x / Math.sqrt(row[Math.floor(i / columns)] / mean) / Math.sqrt(column[i % columns]));
      } else {
        for (let i = 0; i < full.length; i++) full[i] = beta2 * full[i] + (1 - beta2) * squared[i];
        u = g.map((x, i) => x / Math.sqrt(full[i]));
      }
      const clip = Math.max(1, rootMeanSquare(u) / clipThreshold);
      u = u.map((x) => (x / clip) * rate);
      if (beta1 !== undefined) {
        for (let i = 0; i < first.length; i++) first[i] = beta1 * first[i] + (1 - beta1) * u[i];
        u = first;
      }
      for (let i = 0; i < p.length; i++) p[i] = p[i] - 0.1 * rate * p[i] - u[i];
    };
  };
  const variants: AdafactorOptions[] = [
    {},
    { relativeStep: false },
    { relativeStep: false, scaleParameter: false, clipThreshold: 0.5 },
    { warmupInit: true },
    { beta1: 0.9 },
  ];
  for (const options of variants) {
    it(`follows transformers' formulas: ${JSON.stringify(options)}`, () => {
      for (const shape of [[29], [7, 11], [1, 5], [5, 1]]) {
        const scale = (step: number) => 1 / (1 + step);
        const { p } = train((groups) => createAdafactor(groups, options), shape, 8, scale);
        expectClose(p.toTypedArray(), expected(shape, rule(shape, options, scale)), 5e-6, String(shape));
      }
    });
  }
  it("keeps one number per row and per column of a matrix", () => {
    const { optimizer } = train((groups) => createAdafactor(groups), [7, 11], 1);
    const shapes = [...optimizer.state()].map(([name, value]) => [name, value.shape]);
    expect(Object.fromEntries(shapes)).toEqual({ "p.rowMoment": [7], "p.columnMoment": [11], "p.step": [] });
  });
  it("does not need a learning rate with relative steps, and still follows the schedule", () => {
    const p = leaf([1, 1], [2]);
    const optimizer = createAdafactor([{ name: "a", parameters: [["p", p]], learningRate: 0 }]);
    setGradient(p, [1, 1]);
    optimizer.step(0.5);
    expectClose(p.toTypedArray(), [0.995, 0.995], 1e-6);
  });
  it("refuses warmupInit without relativeStep", () => {
    expect(() => createAdafactor([], { warmupInit: true, relativeStep: false })).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION" }),
    );
  });
});
