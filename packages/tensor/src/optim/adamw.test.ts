import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { backward } from "../autograd.js";
import { backend, createReferenceBackend, withBackend } from "../backend/index.js";
import { readSafetensors, writeSafetensors } from "../io/safetensors.js";
import { memory, scope } from "../memory.js";
import { mul, sub } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { transpose } from "../ops/movement.js";
import { sum } from "../ops/reduce.js";
import { take } from "../ops/rows.js";
import { parameter, type Tensor, tensor } from "../tensor.js";
import { expectClose, expectNativeEqualsReference, sampleNumbers } from "../testing/index.js";
import { createAdamW } from "./adamw.js";
import { clipFactor, clipGradientNorm, gradientNorm } from "./clip.js";
import { decayGroups, type Optimizer } from "./optimizer.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-adamw-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const leaf = (values: ArrayLike<number>, shape: readonly number[], sparseRows = false): Tensor =>
  parameter(tensor(Float32Array.from(values), shape), { sparseRows });
const setGradient = (to: Tensor, values: ArrayLike<number>): void => {
  to.grad?.dispose();
  to.grad = tensor(Float32Array.from(values), to.shape).keep("gradients");
};

/** AdamW from the paper, in float64. */
function adamW(p: Float64Array, rate: number, decay: number, [b1, b2, epsilon]: number[]) {
  const m = new Float64Array(p.length);
  const v = new Float64Array(p.length);
  let t = 0;
  return (g: ArrayLike<number>, scale = 1) => {
    t++;
    for (let i = 0; i < p.length; i++) {
      m[i] = b1 * m[i] + (1 - b1) * g[i];
      v[i] = b2 * v[i] + (1 - b2) * g[i] * g[i];
      const corrected = m[i] / (1 - b1 ** t) / (Math.sqrt(v[i] / (1 - b2 ** t)) + epsilon);
      p[i] -= rate * scale * (corrected + decay * p[i]);
    }
  };
}

describe("AdamW", () => {
  it("follows the formulas, for odd sizes, with decay, schedule and gradient scale", () => {
    for (const size of [1, 13, 67, 40_009]) {
      const start = sampleNumbers(size, 3);
      const p = leaf(start, [size]);
      const q = leaf(start, [size]);
      const optimizer = createAdamW(
        [
          { name: "a", parameters: [["p", p]], learningRate: 0.01, weightDecay: 0.1 },
          { name: "b", parameters: new Map([["q", q]]), learningRate: 0.002 },
        ],
        { beta1: 0.8, beta2: 0.95, epsilon: 1e-6 },
      );
      const expectedP = Float64Array.from(start);
      const expectedQ = Float64Array.from(start);
      const stepP = adamW(expectedP, 0.01, 0.1, [0.8, 0.95, 1e-6]);
      const stepQ = adamW(expectedQ, 0.002, 0, [0.8, 0.95, 1e-6]);
      for (let step = 1; step <= 20; step++) {
        const g = sampleNumbers(size, 100 + step);
        setGradient(p, g);
        setGradient(q, g);
        optimizer.step(1 / step, 0.5);
        for (const apply of [stepP, stepQ])
          apply(
            g.map((x) => x / 2),
            1 / step,
          );
      }
      expectClose(p.toTypedArray(), expectedP, 5e-6, "p");
      expectClose(q.toTypedArray(), expectedQ, 5e-6, "q");
      optimizer.dispose();
    }
  });

  it("native equals reference", () => {
    for (const size of [1, 31, 1037]) {
      expectNativeEqualsReference(() => {
        const p = leaf(sampleNumbers(size), [size]);
        const optimizer = createAdamW([{ name: "a", parameters: [["p", p]], learningRate: 0.01, weightDecay: 0.1 }]);
        for (let step = 0; step < 5; step++) {
          setGradient(p, sampleNumbers(size, step));
          optimizer.step();
        }
        optimizer.dispose();
        const result = p.detach();
        p.dispose();
        return result;
      }, 1e-6);
    }
  });

  const ids = tensor(Int32Array.of(4, 0, 2, 4, 1, 3));
  const tableRun = (sparse: boolean, rows: Tensor, steps = 6): { table: Tensor; optimizer: Optimizer } => {
    const table = leaf(sampleNumbers(5 * 19), [5, 19], sparse);
    const optimizer = createAdamW([{ name: "a", parameters: [["t", table]], learningRate: 0.01, weightDecay: 0.1 }]);
    for (let step = 0; step < steps; step++) {
      scope(() => {
        const x = take(table, rows);
        backward(sum(mul(sub(x, 0.5), sub(x, 0.5))));
        optimizer.step(1, clipFactor(gradientNorm([table]), 1));
        optimizer.zeroGrad();
      });
    }
    return { table, optimizer };
  };
  it("a table of which every row is touched is trained as a dense one", () => {
    const dense = tableRun(false, ids);
    const sparse = tableRun(true, ids);
    expectClose(sparse.table.toTypedArray(), dense.table.toTypedArray(), 1e-6);
    expect(sparse.table.grad?.toTypedArray().every((x) => x === 0)).toBe(true);
    expect(dense.table.grad).toBeUndefined();
  });
  it("rows that were not touched rest; ids may repeat, come in several batches, or be none", () => {
    const { table } = tableRun(true, tensor(Int32Array.of(1, 1, 3)));
    const start = leaf(sampleNumbers(5 * 19), [5, 19]).toTypedArray();
    const end = table.toTypedArray();
    for (let row = 0; row < 5; row++) {
      const same = end.slice(row * 19, row * 19 + 19).every((x, i) => x === start[row * 19 + i]);
      expect(same).toBe(row !== 1 && row !== 3);
    }
    const none = tableRun(true, tensor(new Int32Array(0)));
    expect(none.table.toTypedArray()).toEqual(start);

    const twice = leaf(sampleNumbers(5 * 19), [5, 19], true);
    const once = leaf(sampleNumbers(5 * 19), [5, 19], false);
    for (const of of [twice, once]) {
      backward(sum(mul(take(of, tensor(Int32Array.of(1, 2))), 2)));
      backward(sum(mul(take(of, tensor(Int32Array.of(2, 0))), 3)));
    }
    expect(twice.touchedRows?.length).toBe(2);
    expect(twice.grad?.toTypedArray()).toEqual(once.grad?.toTypedArray());
    expect(gradientNorm([twice])).toBeCloseTo(gradientNorm([once]), 5);
    clipGradientNorm([twice], 1);
    clipGradientNorm([once], 1);
    expectClose(twice.grad?.toTypedArray() ?? [], once.grad?.toTypedArray() ?? [], 1e-6);
  });
  it("a table that is also a decoder's matrix gets the whole gradient", () => {
    const results = [true, false].map((sparse) => {
      const table = leaf(sampleNumbers(5 * 4), [5, 4], sparse);
      const optimizer = createAdamW([{ name: "a", parameters: [["t", table]], learningRate: 0.01 }]);
      for (let step = 0; step < 3; step++) {
        const y = matmul(take(table, tensor(Int32Array.of(1, 3))), transpose(table));
        backward(sum(mul(y, y)));
        optimizer.step();
        optimizer.zeroGrad();
      }
      return table.toTypedArray();
    });
    expectClose(results[0], results[1], 1e-6);
  });

  it("a run that is saved and resumed equals the run that went on, bit for bit", () => {
    const start = () =>
      new Map([
        ["w", leaf(sampleNumbers(6 * 7), [6, 7])],
        ["b", leaf(sampleNumbers(7), [7])],
      ] as const);
    const options = { learningRate: 0.01, weightDecay: 0.1 };
    const train = (model: Map<"w" | "b", Tensor>, optimizer: Optimizer, from: number, to: number) => {
      for (let step = from; step < to; step++) {
        for (const [name, p] of model) {
          // One parameter joins later: each counts its own steps.
          if (name === "w" || step > 1) setGradient(p, sampleNumbers(p.size, step + 1));
        }
        optimizer.step();
        optimizer.zeroGrad();
      }
    };
    const whole = start();
    train(whole, createAdamW(decayGroups([...whole], options)), 0, 8);

    const first = start();
    const before = createAdamW(decayGroups([...first], options));
    train(first, before, 0, 4);
    writeSafetensors(join(folder, "model"), first);
    writeSafetensors(join(folder, "optimizer"), before.state());

    const modelFile = readSafetensors(join(folder, "model"));
    const stateFile = readSafetensors(join(folder, "optimizer"));
    const second = new Map((["w", "b"] as const).map((name) => [name, parameter(modelFile.load(name))]));
    const after = createAdamW(decayGroups([...second], options));
    after.loadState(new Map(stateFile.names.map((name) => [name, stateFile.load(name)])));
    after.loadState(after.state()); // Its own state is fine, too.
    train(second, after, 4, 8);
    for (const name of ["w", "b"] as const)
      expect(second.get(name)?.toTypedArray()).toEqual(whole.get(name)?.toTypedArray());
  });

  it("refuses a state that does not fit, and keeps the one it has", () => {
    const p = leaf([1, 2], [2]);
    const optimizer = createAdamW([{ name: "a", parameters: [["p", p]], learningRate: 0.01 }]);
    setGradient(p, [1, 1]);
    optimizer.step();
    const kept = optimizer.state().get("p.firstMoment")?.toArray();
    const good = () => [...optimizer.state()] as [string, Tensor][];
    const bad: [string, Tensor][][] = [
      [["q.step", tensor(1, [], "int32")]],
      [["p.momentum", tensor([1, 2])]],
      [["p.toString", tensor([1, 2])]],
      good().map(([name, value]) => [name, name === "p.firstMoment" ? tensor([1]) : value]),
      good().map(([name, value]) => [name, name === "p.step" ? tensor(1) : value]),
      good().map(([name, value]) => [name, name === "p.step" ? tensor(0, [], "int32") : value]),
      good().filter(([name]) => name !== "p.step"),
      good().filter(([name]) => name !== "p.secondMoment"),
    ];
    for (const state of bad) {
      expect(() => optimizer.loadState(new Map(state))).toThrow(
        expect.objectContaining({ code: "OPTIMIZER_STATE_MISMATCH" }),
      );
    }
    expect(optimizer.state().get("p.firstMoment")?.toArray()).toEqual(kept);
    expect(optimizer.state().get("p.step")?.item()).toBe(1);
  });

  it("frees its state", () => {
    const before = memory.stats();
    const { table, optimizer } = tableRun(true, ids);
    optimizer.state();
    expect(memory.stats().byKind.optimizer).toBeGreaterThan(before.byKind.optimizer);
    optimizer.dispose();
    table.dispose();
    expect(memory.stats()).toEqual({ ...memory.stats(), liveBytes: before.liveBytes, byKind: before.byKind });
  });

  it("refuses options out of range, tied parameters, strided views and gradients that do not fit", () => {
    const p = leaf(sampleNumbers(6), [2, 3]);
    const make = (parameters: [string, Tensor][], learningRate = 0.1) =>
      createAdamW([{ name: "a", parameters, learningRate }]);
    const code = (value: string) => expect.objectContaining({ code: value });
    expect(() => make([["p", p]], -1)).toThrow(code("INVALID_OPTION"));
    expect(() => make([["p", p]], Number.NaN)).toThrow(code("INVALID_OPTION"));
    expect(() => createAdamW([], { beta1: 1 })).toThrow(code("INVALID_OPTION"));
    expect(() =>
      make([
        ["p", p],
        ["q", p],
      ]),
    ).toThrow(code("DUPLICATE_PARAMETER"));
    expect(() => make([["p", transpose(p.detach())]])).toThrow(code("NOT_CONTIGUOUS"));
    const optimizer = make([["p", p]]);
    p.grad = tensor([1, 2]);
    expect(() => optimizer.step()).toThrow(code("SHAPE_MISMATCH"));
  });
  it("passes over parameters without gradient, frozen ones and empty ones", () => {
    const frozen = leaf([1], [1]);
    const empty = leaf([], [0, 3]);
    const optimizer = createAdamW([
      {
        name: "a",
        parameters: [
          ["frozen", frozen],
          ["empty", empty],
          ["idle", leaf([1], [1])],
        ],
        learningRate: 0.1,
      },
    ]);
    setGradient(frozen, [1]);
    setGradient(empty, []);
    frozen.requireGrad(false);
    optimizer.step();
    expect(frozen.toArray()).toEqual([1]);
    expect([...optimizer.state().keys()]).toEqual(["empty.step"]);
    optimizer.loadState(optimizer.state());
  });
});

describe("clipping", () => {
  it("scales to the length asked for, as PyTorch does", () => {
    const a = leaf([0, 0], [2]);
    const b = leaf([0], [1]);
    setGradient(a, [3, 4]);
    setGradient(b, [12]);
    expect(gradientNorm([a, b, a])).toBeCloseTo(13, 6);
    expect(clipGradientNorm([a, b], 1)).toBeCloseTo(13, 6);
    expectClose([...(a.grad?.toTypedArray() ?? []), b.grad?.item() ?? 0], [3 / 13, 4 / 13, 12 / 13], 1e-6);
    expect(clipGradientNorm([a, b], 5)).toBeCloseTo(1, 5);
    expect(a.grad?.toTypedArray()[0]).toBeCloseTo(3 / 13, 6);
  });
  it("does not depend on threads", () => {
    const p = leaf(sampleNumbers(300_007), [300_007]);
    setGradient(p, sampleNumbers(300_007, 5));
    const before = backend().threads();
    const norms = [1, 2, 3].map((threads) => {
      backend().setThreads(threads);
      return gradientNorm([p]);
    });
    backend().setThreads(before);
    expect(new Set(norms).size).toBe(1);
  });
  it("leaves gradients alone that are not finite, or says so", () => {
    const p = leaf([0, 0], [2]);
    setGradient(p, [Number.NaN, 1]);
    expect(clipGradientNorm([p], 1)).toBeNaN();
    expect(p.grad?.toTypedArray()[1]).toBe(1);
    expect(() => clipGradientNorm([p], 1, { errorIfNotFinite: true })).toThrow(
      expect.objectContaining({ code: "GRADIENT_NOT_FINITE" }),
    );
  });
});

describe("decay groups", () => {
  it("keeps decay away from biases and normalisation", () => {
    const names = [
      "bert.encoder.layer.0.attention.self.query.weight",
      "bert.encoder.layer.0.attention.self.query.bias",
      "bert.encoder.layer.0.attention.output.LayerNorm.weight",
      "bert.encoder.layer.0.attention.output.LayerNorm.beta",
      "layers.0.attn_norm.weight",
      "h.0.ln_1.weight",
      "final_layernorm.weight",
      "embeddings.word_embeddings.weight",
      "bias",
    ];
    const list = names.map((name) => [name, leaf([0], [1])] as const);
    const kept = (noDecay?: RegExp) =>
      decayGroups(list, { learningRate: 1, weightDecay: 0.1, ...(noDecay && { noDecay }) }).map(
        ({ parameters, weightDecay }) => [weightDecay, [...parameters].map(([name]) => names.indexOf(name))],
      );
    expect(kept()).toEqual([
      [0.1, [0, 7]],
      [0, [1, 2, 3, 4, 5, 6, 8]],
    ]);
    expect(kept(/bias/g)).toEqual([
      [0.1, [0, 2, 3, 4, 5, 6, 7]],
      [0, [1, 8]],
    ]);
  });
});

it("works on the reference backend", () => {
  withBackend(createReferenceBackend(), () => {
    const p = parameter(tensor(Float64Array.of(1, 2)));
    const optimizer = createAdamW([{ name: "a", parameters: [["p", p]], learningRate: 0.1 }]);
    p.grad = tensor(Float64Array.of(1, -1));
    optimizer.step();
    expectClose(p.toTypedArray(), [0.9, 2.1], 1e-7);
  });
});
