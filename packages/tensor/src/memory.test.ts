import { describe, expect, it } from "vitest";
import { backward, grad } from "./autograd.js";
import { createReferenceBackend, withBackend } from "./backend/index.js";
import { noGrad, saveByReference, withSaveHook } from "./graph.js";
import { type MemoryStats, memory, scope } from "./memory.js";
import { gelu } from "./ops/activation.js";
import { dropout } from "./ops/dropout.js";
import { add, addInPlace, exp, mul, tanh } from "./ops/elementwise.js";
import { linear } from "./ops/linear.js";
import { crossEntropy } from "./ops/loss.js";
import { matmul } from "./ops/matmul.js";
import { reshape, transpose } from "./ops/movement.js";
import { layerNorm } from "./ops/norm.js";
import { sum } from "./ops/reduce.js";
import { take } from "./ops/rows.js";
import { createAdamW } from "./optim/adamw.js";
import { clipFactor, gradientNorm } from "./optim/clip.js";
import { decayGroups } from "./optim/optimizer.js";
import { linearSchedule } from "./optim/schedules.js";
import { createRandom, randomNormal } from "./random.js";
import { ones, parameter, type Tensor, tensor } from "./tensor.js";

const code = (value: string) => expect.objectContaining({ code: value });
/** What must be the same before and after; the cache and the peak may differ. */
const account = ({ liveBytes, allocations, byKind }: MemoryStats) => ({ liveBytes, allocations, byKind });

/** An embedding, a hidden layer with everything around it, a classifier. */
function createModel() {
  const random = createRandom(1);
  const weight = (name: string, shape: readonly number[], sparseRows = false) =>
    [name, parameter(randomNormal(shape, { seed: random.fork(name), std: 0.2 }), { sparseRows })] as const;
  const parameters = new Map([
    weight("embeddings", [50, 16], true),
    weight("dense.weight", [24, 16]),
    weight("dense.bias", [24]),
    weight("norm.bias", [24]),
    weight("classifier.weight", [5, 24]),
    ["norm.weight", parameter(ones([24]))] as const,
  ]);
  const get = (name: string) => parameters.get(name) as Tensor;
  const forward = (ids: Tensor, seed: number): Tensor =>
    scope(() => {
      const x = dropout(take(get("embeddings"), ids), 0.1, seed);
      const hidden = gelu(linear(x, get("dense.weight"), get("dense.bias")));
      return linear(layerNorm(hidden, get("norm.weight"), get("norm.bias")), get("classifier.weight"));
    });
  return { parameters, forward };
}

describe("training", () => {
  it("a thousand steps of a small network leave every count unchanged", () => {
    const { parameters, forward } = createModel();
    const optimizer = createAdamW(decayGroups(parameters, { learningRate: 0.01, weightDecay: 0.01 }));
    const schedule = linearSchedule({ warmup: 10, total: 1000 });
    const random = createRandom(2);
    const step = (number: number): number =>
      scope(() => {
        const ids = tensor(Int32Array.from({ length: 12 }, () => random.integer(50)));
        const labels = tensor((ids.toTypedArray() as Int32Array).map((id) => id % 5));
        const loss = crossEntropy(forward(ids, number), labels);
        backward(loss);
        optimizer.step(schedule(number), clipFactor(gradientNorm(parameters.values()), 1));
        optimizer.zeroGrad();
        return loss.item();
      });
    const first = step(0);
    const before = account(memory.stats());
    let last = first;
    for (let number = 1; number <= 1000; number++) last = step(number);
    expect(account(memory.stats())).toEqual(before);
    expect(before.byKind.saved).toBe(0);
    expect(last).toBeLessThan(first / 2);
    optimizer.dispose();
    for (const p of parameters.values()) p.dispose();
  });

  it("a forward pass whose backward never comes frees what it saved", () => {
    const { parameters, forward } = createModel();
    const before = account(memory.stats());
    for (let i = 0; i < 3; i++) {
      scope(() => {
        forward(tensor(Int32Array.of(1, 2, 3)), i);
        expect(memory.stats().byKind.saved).toBeGreaterThan(0);
      });
    }
    expect(account(memory.stats())).toEqual(before);
    // Outside any scope, disposing the result is enough.
    const ids = tensor(Int32Array.of(1, 2, 3));
    const logits = forward(ids, 1);
    ids.dispose();
    logits.dispose();
    expect(account(memory.stats())).toEqual(before);
    for (const p of parameters.values()) p.dispose();
  });

  it("without gradients nothing is saved, and the peak stays at a few layers", () => {
    const weights = Array.from({ length: 30 }, (_, i) => parameter(randomNormal([64, 64], { seed: i, std: 0.1 })));
    const x = randomNormal([256, 64], { seed: 1 });
    const layers = () => {
      let h = x;
      for (const w of weights) {
        const next = scope(() => tanh(matmul(h, w)));
        if (h !== x) h.dispose();
        h = next;
      }
      return h;
    };
    const peak = (body: () => void) => {
      memory.resetPeak();
      const start = memory.stats().liveBytes;
      scope(() => void body());
      return (memory.stats().peakBytes - start) / (256 * 64 * 4);
    };
    expect(peak(() => noGrad(layers))).toBeLessThan(4);
    const forward = peak(layers);
    expect(forward).toBeGreaterThan(29);
    // The backward pass frees as it goes: it needs little more than the forward pass had saved, besides the gradients.
    const gradients = 30 / 4;
    expect(peak(() => backward(sum(layers())))).toBeLessThan(forward + gradients + 4);
    for (const w of weights) w.dispose();
    x.dispose();
  });

  it("an error in the middle of a step leaves nothing behind", () => {
    const { parameters, forward } = createModel();
    const before = account(memory.stats());
    const hook = (value: Tensor, operation: string) => ({
      ...saveByReference(value, operation),
      restore: (): Tensor => {
        throw new Error("lost");
      },
    });
    for (const where of ["forward", "backward"]) {
      expect(() =>
        scope(() => {
          const ids = tensor(Int32Array.of(1, 2, 3));
          const logits = where === "backward" ? withSaveHook(hook, () => forward(ids, 1)) : forward(ids, 1);
          if (where === "forward") throw new Error("lost");
          backward(crossEntropy(logits, ids));
        }),
      ).toThrow("lost");
      for (const p of parameters.values()) {
        p.grad?.dispose();
        p.grad = undefined;
        p.touchedRows = undefined;
      }
    }
    expect(account(memory.stats())).toEqual(before);
    for (const p of parameters.values()) p.dispose();
  });

  it("a product with a constant saves the constant only", () => {
    const x = randomNormal([1000], { seed: 1 }).requireGrad();
    const before = memory.stats().byKind.saved;
    scope(() => {
      const y = mul(mul(add(x, 1), 2), tensor([3]));
      expect(memory.stats().byKind.saved - before).toBe(8);
      backward(sum(y));
    });
    expect((x.grad as Tensor).toTypedArray().every((value) => value === 6)).toBe(true);
    x.dispose();
  });

  it("what is quick to make again is not kept: less memory, the same gradients to the last bit", () => {
    const [rows, width] = [7, 24];
    const random = createRandom(5);
    const weight = (name: string, shape: readonly number[]) =>
      parameter(randomNormal(shape, { seed: random.fork(name), std: 0.3 }));
    const [gain, shift, input, bias, output, gate] = [
      weight("gain", [width]),
      weight("shift", [width]),
      weight("input", [4 * width, width]),
      weight("bias", [4 * width]),
      weight("output", [width, 4 * width]),
      weight("gate", [width, width]),
    ];
    const parameters = [gain, shift, input, bias, output, gate];
    const x = randomNormal([rows, width], { seed: 6 });
    const layer = (h: Tensor): Tensor => {
      const normal = layerNorm(h, gain, shift, { residual: x });
      const inner = linear(linear(normal, input, bias, { activation: "gelu" }), output);
      return mul(gelu(linear(normal, gate)), layerNorm(inner, gain, undefined));
    };
    const run = (around: (body: () => Tensor) => Tensor) => {
      const before = memory.stats().byKind.saved;
      return scope(() => {
        const y = around(() => scope(() => layer(layer(x))));
        const saved = memory.stats().byKind.saved - before;
        backward(sum(mul(y, y)));
        const gradients = parameters.map((p) => Array.from((p.grad as Tensor).toTypedArray()));
        for (const p of parameters) {
          p.grad?.dispose();
          p.grad = undefined;
        }
        return { saved, gradients };
      });
    };
    const plain = run((body) => withSaveHook(saveByReference, body));
    const lean = run((body) => body());
    expect(lean.gradients).toEqual(plain.gradients);
    // Of each layer the first norm's output, the inner layer's, and both factors of the product.
    expect(plain.saved - lean.saved).toBe(2 * rows * (width + 4 * width + 2 * width) * 4);
    // What was written in place since cannot be made again, and what was freed neither.
    scope(() => {
      const normal = layerNorm(x, gain, shift);
      noGrad(() => addInPlace(normal, x));
      const y = linear(normal, gate);
      backward(sum(y));
      const expected = sum(normal).item();
      expect(sum(gate.grad as Tensor).item()).toBeCloseTo(width * expected, 2);
      const again = layerNorm(x, gain, shift);
      const z = linear(again, gate);
      backward(sum(again));
      expect(() => backward(sum(z))).toThrow(code("GRAPH_FREED"));
    });
    for (const tensor of [x, ...parameters]) {
      tensor.grad?.dispose();
      tensor.dispose();
    }
  });

  it("a frozen matrix spares its input", () => {
    const [x, frozen] = [randomNormal([10, 8], { seed: 1 }), randomNormal([8, 8], { seed: 2 })];
    const before = memory.stats().byKind.saved;
    scope(() => {
      const y = matmul(matmul(add(x.requireGrad(), 1), frozen), frozen);
      expect(memory.stats().byKind.saved - before).toBe(frozen.storage.bytes);
      backward(sum(y));
    });
    expect(x.grad?.shape).toEqual([10, 8]);
    x.dispose();
  });

  it("what a hook drops is not held, and comes back when it is needed", () => {
    const x = tensor([0.5, -1, 2]).requireGrad();
    const dropped: number[] = [];
    const y = withSaveHook(
      (value) => {
        const copy = value.toTypedArray();
        dropped.push(copy.length);
        return { restore: () => tensor(copy), release: () => {} };
      },
      () => sum(mul(exp(x), x)),
    );
    backward(y);
    const wanted = [0.5, -1, 2].map((v) => Math.exp(v) * (1 + v));
    (x.grad as Tensor).toTypedArray().forEach((value, i) => {
      expect(value).toBeCloseTo(wanted[i], 4);
    });
    expect(dropped.length).toBeGreaterThan(0);
  });
});

describe("chains of ten thousand operations", () => {
  const chain = (x: Tensor): Tensor => {
    let y = x;
    for (let i = 0; i < 10_000; i++) y = i % 2 === 0 ? mul(y, 1.0001) : add(y, 0.0001);
    return y;
  };
  it("run forwards, backwards, and are freed, with and without the backward pass", () => {
    const x = tensor([1]).requireGrad();
    const before = account(memory.stats());
    scope(() => void chain(x));
    expect(account(memory.stats())).toEqual(before);
    scope(() => {
      const [gradient] = grad([sum(chain(x))], [x]);
      expect(gradient.item()).toBeCloseTo(1.0001 ** 5000, 3);
    });
    expect(account(memory.stats())).toEqual(before);
    // One handle at the end keeps the whole chain.
    const end = scope(() => chain(x));
    backward(end);
    expect((x.grad as Tensor).item()).toBeCloseTo(1.0001 ** 5000, 3);
    end.dispose();
    x.dispose();
  });
});

describe("lives of tensors", () => {
  it("a tensor used after its scope: TENSOR_DISPOSED, from every family", () => {
    let lost = tensor([[1]]);
    scope(() => {
      lost = tensor([[1]]);
    });
    const uses: (() => unknown)[] = [
      () => add(lost, 1),
      () => exp(lost),
      () => matmul(lost, lost),
      () => sum(lost),
      () => transpose(lost),
      () => reshape(lost, [1]),
      () => take(lost, tensor(Int32Array.of(0))),
      () => linear(lost, lost),
      () => gelu(lost),
      () => lost.toArray(),
      () => lost.item(),
      () => lost.view(),
      () => lost.detach(),
      () => lost.keep(),
      () => lost.requireGrad(),
      () => lost.pointer,
    ];
    for (const use of uses) expect(use).toThrow(code("TENSOR_DISPOSED"));
    expect(String(lost)).toContain("freed");
    lost.dispose();
  });
  it("views keep the data, disposing twice is fine", () => {
    const before = account(memory.stats());
    const x = tensor([[1, 2]]);
    const view = transpose(x);
    x.dispose();
    x.dispose();
    expect(view.toArray()).toEqual([[1], [2]]);
    view.dispose();
    expect(account(memory.stats())).toEqual(before);
  });
  it("kept tensors outlive scopes; nested scopes hand over what they return", () => {
    const before = account(memory.stats());
    const kept: Tensor[] = [];
    const map = scope(() => {
      const inner = scope(() => ({ a: tensor([1]), deep: new Map([["b", [tensor([2])]]]), lost: [1, "x", null] }));
      kept.push(tensor([3]).keep("optimizer"));
      expect(memory.stats().byKind.optimizer).toBe(before.byKind.optimizer + 4);
      return inner.deep;
    });
    const b = (map.get("b") as Tensor[])[0];
    expect([b.item(), kept[0].item()]).toEqual([2, 3]);
    expect(memory.stats().liveBytes).toBe(before.liveBytes + 8);
    b.dispose();
    kept[0].dispose();
    expect(account(memory.stats())).toEqual(before);
  });
  it("a scope around asynchronous work is refused", () => {
    expect(() => scope(async () => tensor([1]))).toThrow(code("SCOPE_ASYNC"));
  });
  it("counts by kind, also where the reference backend holds the memory", () => {
    withBackend(createReferenceBackend(), () => {
      const before = account(memory.stats());
      const w = parameter(tensor([1, 2]));
      expect(memory.stats().byKind.weights).toBe(before.byKind.weights + 8);
      backward(sum(mul(w, w)));
      expect(memory.stats().byKind.gradients).toBe(before.byKind.gradients + 8);
      w.dispose();
      expect(memory.stats().byKind.weights).toBe(before.byKind.weights);
    });
  });
});
