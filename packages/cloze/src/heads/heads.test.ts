import {
  add,
  backward,
  gradientNorm,
  memory,
  mul,
  noGrad,
  reshape,
  scope,
  slice,
  type Tensor,
  tensor,
} from "@cloze/tensor";
import { expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { uniformEncoder } from "../encoder/config.js";
import { type CreateModelOptions, createModel, type Model, type ModelOptions } from "../families/index.js";

const config = uniformEncoder({
  vocabularySize: 20,
  hiddenSize: 8,
  layers: 1,
  heads: 2,
  maxPositions: 8,
  initializerRange: 0.4,
});
const batch = packSequences([{ ids: [1, 2, 3, 4, 5] }, { ids: [6, 7] }, { ids: [8, 9, 10] }]);

/** Runs a function with a new model, and frees everything. */
function withModel<T>(architecture: string, body: (model: Model) => T, options: Partial<CreateModelOptions> = {}): T {
  const model = createModel({ architecture, config, seed: 4, ...options });
  try {
    return scope(() => body(model));
  } finally {
    model.dispose();
  }
}
const read = (x: Tensor | undefined): number[] => Array.from(x?.toTypedArray() ?? []);
const softplus = (x: number): number => Math.log1p(Math.exp(-Math.abs(x))) + Math.max(x, 0);
/** -log softmax(logits)[target] */
const crossEntropyOf = (logits: number[], target: number): number =>
  Math.log(logits.reduce((total, x) => total + Math.exp(x), 0)) - logits[target];
const rowsOf = (x: Tensor | undefined): number[][] => {
  const width = x?.shape[1] ?? 1;
  const all = read(x);
  return Array.from({ length: all.length / width }, (_, i) => all.slice(i * width, (i + 1) * width));
};
const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const refused = (architecture: string, labels: ModelOptions, code: string, options: Partial<CreateModelOptions> = {}) =>
  withModel(
    architecture,
    (model) => expect(() => model.forward(batch, labels)).toThrow(expect.objectContaining({ code })),
    options,
  );

test("masked rows only: the logits, loss and gradients of all rows where the others are ignored", () => {
  const rows = Int32Array.of(1, 4, 6);
  const targets = Int32Array.of(3, 0, 19);
  const labels = new Int32Array(10).fill(-100);
  rows.forEach((row, i) => {
    labels[row] = targets[i];
  });
  const run = (options: ModelOptions) =>
    withModel("ForMaskedLM", (model) => {
      const { loss, logits } = model.forward(batch, options);
      backward(loss as Tensor);
      const gradients = [...model.parameters.values()].flatMap(({ grad }) => read(grad));
      return { loss: loss?.item() ?? 0, logits: rowsOf(logits), gradients };
    });
  const all = run({ labels });
  const some = run({ rows, targets });
  expect(some.logits).toHaveLength(3);
  rows.forEach((row, i) => {
    expect(Math.max(...some.logits[i].map((x, c) => Math.abs(x - all.logits[row][c])))).toBeLessThan(1e-5);
  });
  expect(some.loss).toBeCloseTo(all.loss, 5);
  expect(some.loss).toBeCloseTo(mean(some.logits.map((row, i) => crossEntropyOf(row, targets[i]))), 5);
  expect(some.gradients).toHaveLength(all.gradients.length);
  expect(Math.max(...some.gradients.map((x, i) => Math.abs(x - all.gradients[i])))).toBeLessThan(1e-5);
  withModel("ForMaskedLM", (model) => {
    const { hidden } = model.forward(batch);
    expect(model.head.maskedLanguageLoss(hidden, rows, targets).item()).toBeCloseTo(some.loss, 6);
    expect(model.forward(batch, { rows }).logits?.shape).toEqual([3, 20]);
  });
});

test.each(["ForMaskedLM", "ForPreTraining"])("%s: the largest logits of each sequence, without all", (architecture) => {
  withModel(architecture, (model) => {
    const { hidden, logits } = model.forward(batch);
    const rows = rowsOf(logits);
    const peaks = rowsOf(model.head.peaks(hidden, batch));
    expect(peaks).toHaveLength(3);
    peaks.forEach((row, s) => {
      const own = rows.slice(batch.offsets[s], batch.offsets[s + 1]);
      row.forEach((peak, term) => {
        expect(peak).toBeCloseTo(Math.max(...own.map((one) => one[term])), 5);
      });
    });
  });
});

test.each(["ForMaskedLM", "ForPreTraining", "LMHeadModel"])(
  "%s: the loss alone is the same, with its gradients",
  (architecture) => {
    // More rows than a chunk of logits has.
    const long = packSequences(
      Array.from({ length: 90 }, (_, s) => ({ ids: Array.from({ length: 7 }, (_, i) => (5 * s + 3 * i) % 20) })),
    );
    const ids = long.ids.slice();
    const rows = Int32Array.from({ length: 520 }, (_, i) => i + 3);
    for (const labels of [
      { labels: ids.map((id, i) => (i % 50 === 7 ? -100 : id)) },
      { rows, targets: ids.slice(0, 520) },
    ]) {
      const run = (options: ModelOptions) =>
        withModel(architecture, (model) => {
          const { loss, logits } = model.forward(long, { ...labels, ...options });
          backward(loss as Tensor);
          return { logits, values: [loss, ...[...model.parameters.values()].map(({ grad }) => grad)].flatMap(read) };
        });
      const plain = run({});
      const alone = run({ lossOnly: true });
      expect(alone.logits).toBeUndefined();
      expect(alone.values).toHaveLength(plain.values.length);
      expect(Math.max(...alone.values.map((x, i) => Math.abs(x - plain.values[i])))).toBeLessThan(1e-5);
      expect(Math.max(...plain.values.slice(1).map(Math.abs))).toBeGreaterThan(1e-3);
    }
  },
);

test("nothing to predict costs nothing, and gradients stay zero", () => {
  for (const labels of [
    { rows: new Int32Array(0), targets: new Int32Array(0) },
    { labels: new Int32Array(10).fill(-100) },
  ]) {
    withModel("ForMaskedLM", (model) => {
      const { loss } = model.forward(batch, labels);
      expect(loss?.item()).toBe(0);
      backward(loss as Tensor);
      expect(gradientNorm(model.parameters.values())).toBe(0);
    });
  }
});

test("a decoder of its own instead of the word embeddings", () => {
  withModel(
    "ForMaskedLM",
    (model) => {
      expect(model.parameters.has("head.decoder.weight")).toBe(true);
      backward(model.forward(batch, { rows: Int32Array.of(0), targets: Int32Array.of(2) }).loss as Tensor);
      expect(model.parameters.get("head.decoder.weight")?.grad).toBeDefined();
    },
    { tied: false },
  );
  withModel("ForMaskedLM", (model) => expect(model.parameters.has("head.decoder.weight")).toBe(false));
});

test("a causal model predicts the next token of the same sequence", () => {
  withModel("LMHeadModel", (model) => {
    const { loss, logits } = model.forward(batch, { labels: batch.ids });
    const next = rowsOf(logits);
    const expected = [0, 1, 2, 3, 5, 7, 8].map((row) => crossEntropyOf(next[row], batch.ids[row + 1]));
    expect(loss?.item()).toBeCloseTo(mean(expected), 5);
  });
});

test("a causal model makes another loss of each row that has a next token", () => {
  withModel("LMHeadModel", (model) => {
    const labels = batch.ids.map((id, row) => (row === 3 ? -100 : id));
    const rows = [0, 1, 3, 5, 7, 8];
    const weights = rows.map((row) => row + 1);
    const seen: (readonly number[])[] = [];
    const { loss } = model.forward(batch, {
      labels,
      lossOnly: true,
      rowLoss: (hidden) => {
        seen.push(hidden.shape);
        const first = slice(hidden, [{}, { end: 1 }]);
        return {
          of: (losses, weight, place) => add(mul(losses, weight), reshape(place, losses.shape)),
          beside: [tensor(weights), first],
        };
      },
    });
    const next = rowsOf(model.forward(batch).logits);
    const { hidden } = model.forward(batch);
    const states = rowsOf(hidden);
    const expected = rows.map((row, i) => weights[i] * crossEntropyOf(next[row], batch.ids[row + 1]) + states[row][0]);
    expect(seen).toEqual([[rows.length, 8]]);
    expect(loss?.item()).toBeCloseTo(mean(expected), 5);
  });
});

test("sequence classification: one class, several labels, numbers", () => {
  withModel(
    "ForSequenceClassification",
    (model) => {
      const { loss, logits } = model.forward(batch, { labels: Int32Array.of(2, 0, -100) });
      const rows = rowsOf(logits);
      expect(loss?.item()).toBeCloseTo(mean([crossEntropyOf(rows[0], 2), crossEntropyOf(rows[1], 0)]), 5);
    },
    { labels: 3 },
  );
  withModel(
    "ForSequenceClassification",
    (model) => {
      const labels = Float32Array.of(1, 0, 1, 1, 0, 0);
      const { loss, logits } = model.forward(batch, { labels });
      expect(loss?.item()).toBeCloseTo(mean(read(logits).map((x, i) => softplus(x) - x * labels[i])), 5);
    },
    { labels: 2 },
  );
  for (const [options, labels] of [
    [{ labels: 1 }, Float32Array.of(0.5, -1, 3)],
    [{ labels: 1 }, Int32Array.of(0, 4, 3)],
    [{ labels: 2, problem: "regression" as const }, Float32Array.of(0, 1, 2, 3, 4, 5)],
  ] as const) {
    withModel(
      "ForSequenceClassification",
      (model) => {
        const { loss, logits } = model.forward(batch, { labels });
        expect(loss?.item()).toBeCloseTo(mean(read(logits).map((x, i) => (x - labels[i]) ** 2)), 4);
      },
      options,
    );
  }
});

test("token classification ignores -100; dropout only in training", () => {
  const labels = Int32Array.of(0, 1, -100, -100, 1, 0, -100, 1, 1, 0);
  withModel("ForTokenClassification", (model) => {
    const { loss, logits } = model.forward(batch, { labels });
    const expected = rowsOf(logits).flatMap((row, i) => (labels[i] === -100 ? [] : [crossEntropyOf(row, labels[i])]));
    expect(loss?.item()).toBeCloseTo(mean(expected), 5);
    const still = model.forward(batch, { seed: 2 });
    expect(read(still.logits)).toEqual(read(logits));
    expect(read(model.forward(batch, { training: true, seed: 2 }).logits)).not.toEqual(read(logits));
  });
});

test("answers: softmax over the tokens of each sequence, places outside are not counted", () => {
  withModel("ForQuestionAnswering", (model) => {
    const starts = Int32Array.of(1, 0, 3);
    const ends = Int32Array.of(4, -1, 2);
    const { loss, startLogits, endLogits } = model.forward(batch, { starts, ends });
    expect(startLogits?.shape).toEqual([10]);
    const part = (logits: Tensor | undefined, s: number) => read(logits).slice(batch.offsets[s], batch.offsets[s + 1]);
    const expected =
      mean([crossEntropyOf(part(startLogits, 0), 1), crossEntropyOf(part(startLogits, 1), 0)]) / 2 +
      mean([crossEntropyOf(part(endLogits, 0), 4), crossEntropyOf(part(endLogits, 2), 2)]) / 2;
    expect(loss?.item()).toBeCloseTo(expected, 5);
    const outside = Int32Array.of(9, 9, 9);
    expect(model.forward(batch, { starts: outside, ends: outside }).loss?.item()).toBeCloseTo(0, 9);
  });
});

test("next sentence, and pre-training as the sum of both losses", () => {
  const nextSentence = Int32Array.of(0, 1, 0);
  withModel("ForNextSentencePrediction", (model) => {
    const { loss, logits } = model.forward(batch, { nextSentence });
    expect(loss?.item()).toBeCloseTo(mean(rowsOf(logits).map((row, i) => crossEntropyOf(row, nextSentence[i]))), 5);
  });
  withModel("ForPreTraining", (model) => {
    const masked = { rows: Int32Array.of(2, 8), targets: Int32Array.of(3, 9) };
    const [both, tokens, next] = [{ ...masked, nextSentence }, masked, { nextSentence }].map(
      (labels) => model.forward(batch, labels).loss?.item() ?? Number.NaN,
    );
    expect(both).toBeCloseTo(tokens + next, 5);
    expect(model.forward(batch).loss).toBeUndefined();
  });
});

test("labels that do not fit are refused, by code", () => {
  refused("ForMaskedLM", { labels: new Int32Array(3) }, "LABELS_SHAPE");
  refused("ForMaskedLM", { targets: Int32Array.of(1) }, "LABELS_SHAPE");
  refused("ForMaskedLM", { rows: Int32Array.of(1), targets: Int32Array.of(1, 2) }, "LABELS_SHAPE");
  refused("ForMaskedLM", { rows: Int32Array.of(1), targets: Int32Array.of(20) }, "TARGET_OUT_OF_RANGE");
  refused("ForSequenceClassification", { labels: Int32Array.of(1) }, "LABELS_SHAPE");
  refused("ForSequenceClassification", { labels: new Float32Array(3) }, "LABELS_KIND", { problem: "single" });
  refused("ForTokenClassification", { labels: new Float32Array(10) }, "LABELS_KIND");
  refused("ForQuestionAnswering", { starts: Int32Array.of(1, 1, 1) }, "LABELS_SHAPE");
  withModel("ForTokenClassification", (model) => {
    const { hidden } = model.forward(batch);
    expect(() => model.head.maskedLanguageLoss(hidden, Int32Array.of(0), Int32Array.of(0))).toThrow(
      expect.objectContaining({ code: "HEAD_MISMATCH" }),
    );
    expect(() => model.head.peaks(hidden, batch)).toThrow(expect.objectContaining({ code: "HEAD_MISMATCH" }));
  });
  withModel("Model", (model) =>
    expect(() => model.forward(packSequences([{ ids: [1] }, { ids: [] }]))).toThrow(
      expect.objectContaining({ code: "EMPTY_SEQUENCE" }),
    ),
  );
});

test("models that cannot be made are refused, by code", () => {
  const made = (options: CreateModelOptions) => () => createModel(options).dispose();
  expect(made({ architecture: "ForTelepathy", config })).toThrow(
    expect.objectContaining({ code: "ARCHITECTURE_UNKNOWN" }),
  );
  expect(made({ architecture: "ForSequenceClassification", config, labels: 0 })).toThrow(
    expect.objectContaining({ code: "CONFIG_INVALID" }),
  );
  expect(made({ architecture: "ForSequenceClassification", config, labels: 3, names: ["a"] })).toThrow(
    expect.objectContaining({ code: "CONFIG_INVALID" }),
  );
});

test("nothing leaks from models", () => {
  const before = memory.stats();
  for (const architecture of ["Model", "ForPreTraining", "ForQuestionAnswering"]) {
    withModel(architecture, (model) => {
      const held = memory.stats().allocations;
      scope(() => {
        noGrad(() => model.forward(batch));
        model.forward(batch, { training: true });
      });
      expect(memory.stats().allocations).toBe(held);
    });
  }
  const wrongHead: CreateModelOptions = { architecture: "ForTokenClassification", config, labels: 2, names: ["a"] };
  expect(() => createModel(wrongHead)).toThrow();
  expect(memory.stats()).toMatchObject({ liveBytes: before.liveBytes, allocations: before.allocations });
});
