import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  backward,
  copyInto,
  createReferenceBackend,
  grad,
  parameter,
  scope,
  type Tensor,
  tensor,
  withBackend,
} from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { createLoss, embeddingLosses, type LossConfig, lossKind, rowsOfLoss } from "./index.js";

interface LossCase {
  config: { type: string };
  columns: number[][][];
  labels: number[] | null;
  label_width: number | null;
  value: number;
  gradients: number[][][];
  classifier?: Record<string, number[] | number[][]>;
  classifier_gradient?: number[][];
  guide?: number[][][];
}
const file = fileURLToPath(new URL("../../../test/fixtures/embedders/losses.json", import.meta.url));
const { losses: cases } = JSON.parse(readFileSync(file, "utf8")) as { losses: LossCase[] };

function expectClose(received: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what: string): void {
  expect(received.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(received[i] - expected[i]);
    expect(difference, `${what}, number ${i}: ${received[i]} instead of ${expected[i]}`).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(expected[i])),
    );
  }
}

/** Further negatives of sentence-transformers, column by column, as Cloze has them: those of a row together. */
const interleave = (columns: readonly number[][][]): number[][] =>
  columns[0].flatMap((_, row) => columns.map((column) => column[row]));

function prepare({ config, columns, labels, label_width, classifier, guide }: LossCase) {
  const ours = columns.length > 3 ? [...columns.slice(0, 2), interleave(columns.slice(2))] : columns;
  const texts = ours.map((column, c) => column.map((_, i) => `${c} ${i}`));
  const loss = createLoss(config as LossConfig, {
    width: columns[0][0].length,
    layers: 2,
    classes: 3,
    seed: 1,
    guide: (asked) => tensor(asked.map((text) => guide?.[Number(text[0])][Number(text.slice(2))] as number[])),
  });
  for (const [name, value] of Object.entries(classifier ?? {}))
    scope(() => copyInto(loss.parameters?.get(name) as Tensor, tensor(value)));
  const input = {
    labels: labels === null ? undefined : Float32Array.from(labels),
    labelWidth: label_width ?? undefined,
    seed: 1,
    texts,
  };
  return { loss, ours, input };
}

describe("value and gradients are those of sentence-transformers", () => {
  test.each(cases.map((one, i) => [`${i}: ${JSON.stringify(one.config)}`, one] as const))("%s", (_, one) => {
    const { loss, ours, input } = prepare(one);
    const leaves = ours.map((column) => parameter(tensor(column)));
    scope(() => {
      const value = loss.forward({ ...input, columns: leaves });
      expectClose([value.item()], [one.value], 2e-5, "value");
      backward(value);
    });
    const expected =
      one.columns.length > 3 ? [...one.gradients.slice(0, 2), interleave(one.gradients.slice(2))] : one.gradients;
    leaves.forEach((leaf, i) => {
      const received = leaf.grad?.toTypedArray() ?? new Float32Array(leaf.size);
      expectClose(received, expected[i].flat(), 5e-5, `gradient of column ${i}`);
      leaf.grad?.dispose();
      leaf.dispose();
    });
    if (one.classifier_gradient) {
      const weight = loss.parameters?.get("classifier.weight");
      expectClose(weight?.grad?.toTypedArray() as Float32Array, one.classifier_gradient.flat(), 5e-5, "classifier");
    }
  });
});

describe("gradients are those of finite differences", () => {
  const seen = new Set<string>();
  const one = cases.filter(({ config: { type } }) => !seen.has(type) && seen.add(type));
  test.each(one.map((each) => [each.config.type, each] as const))("%s", (_, each) => {
    const { loss, ours, input } = prepare({ ...each, classifier: undefined });
    // The classifier has float32 weights: the reference backend would have to mix them with float64.
    if (loss.parameters !== undefined) return;
    withBackend(createReferenceBackend(), () => {
      const values = ours.map((column) => Float64Array.from(column.flat()));
      const width = ours[0][0].length;
      const inputs = (list: readonly Float64Array[]) =>
        list.map((one) => tensor(one, [one.length / width, width]).requireGrad());
      const leaves = inputs(values);
      const gradients = grad([loss.forward({ ...input, columns: leaves })], leaves);
      values.forEach((value, which) => {
        const at = (i: number, step: number): number =>
          scope(() => {
            const moved = values.map((one, j) => (j === which ? one.map((x, l) => (l === i ? x + step : x)) : one));
            return loss.forward({ ...input, columns: inputs(moved) }).item();
          });
        const numeric = value.map((_, i) => (at(i, 1e-5) - at(i, -1e-5)) / 2e-5);
        expectClose(gradients[which].toTypedArray(), numeric, 1e-5, `gradient of column ${which}`);
      });
    });
  });
});

test("every loss of the registry has a case, except what sentence-transformers lacks and those that need an encoder of their own", () => {
  const tested = new Set(cases.map(({ config }) => config.type));
  expect(embeddingLosses.map(({ type }) => type).filter((type) => !tested.has(type))).toEqual([
    "multiple-negatives-plus",
    "pair-matching",
    "matryoshka2d",
    "splade",
    "colbert",
  ]);
});

describe("exact values", () => {
  const run = (config: LossConfig, columns: number[][][], labels?: number[]) =>
    scope(() =>
      createLoss(config, { width: columns[0][0].length, layers: 1, seed: 1 })
        .forward({ columns: columns.map((one) => tensor(one)), labels: labels && Float32Array.from(labels), seed: 1 })
        .item(),
    );
  test("one triplet, cos 1 and 0: log(1 + e^-20)", () => {
    expect(run("multiple-negatives", [[[1, 0]], [[2, 0]], [[0, 3]]])).toBeCloseTo(Math.log1p(Math.exp(-20)), 6);
  });
  test("a batch of identical pairs: log B", () => {
    const same = Array.from({ length: 5 }, () => [1, 2]);
    expect(run("mnrl", [same, same])).toBeCloseTo(Math.log(5), 6);
  });
  test("neither a rotation nor a scale of all vectors changes multiple negatives", () => {
    const turn = ([x, y]: number[]) => [3 * (0.6 * x - 0.8 * y), 3 * (0.8 * x + 0.6 * y)];
    const columns = [
      [
        [1, 2],
        [0.5, -1],
      ],
      [
        [2, 1],
        [-1, 0.3],
      ],
    ];
    expect(
      run(
        "multiple-negatives",
        columns.map((one) => one.map(turn)),
      ),
    ).toBeCloseTo(run("multiple-negatives", columns), 5);
  });
  test("cosine: a range, a perfect model", () => {
    expect(run({ type: "cosine", range: [0, 5] }, [[[1, 0]], [[0, 1]]], [2.5])).toBeCloseTo(0.25, 6);
    expect(run("cosine", [[[1, 1]], [[3, 3]]], [1])).toBeCloseTo(0, 6);
  });
  test("pair matching: sigmoid cross-entropy of a scaled cosine, of rows or of all with all", () => {
    const [a, b] = [
      [
        [1, 0],
        [0, 2],
        [1, 1],
      ],
      [
        [3, 0],
        [1, -1],
        [-1, 0],
      ],
    ];
    const cosine = (u: number[], v: number[]) =>
      (u[0] * v[0] + u[1] * v[1]) / Math.hypot(u[0], u[1]) / Math.hypot(v[0], v[1]);
    const cost = (value: number, match: number, weight: number) => {
      const likely = 1 / (1 + Math.exp(-6 * (value - 0.5)));
      return match === 1 ? -weight * Math.log(likely) : -Math.log(1 - likely);
    };
    const labels = [1, 0, 1];
    const mean = (values: number[]) => values.reduce((x, y) => x + y) / values.length;
    const rows = labels.map((label, i) => cost(cosine(a[i], b[i]), label, 1));
    expect(run("pair-matching", [a, b], labels)).toBeCloseTo(mean(rows), 5);
    const all = a.flatMap((u, i) => b.map((v, j) => cost(cosine(u, v), i === j ? labels[i] : 0, 2)));
    const inBatch = { type: "pair-matching", inBatch: true, positiveWeight: 2 };
    expect(run(inBatch, [a, b], labels)).toBeCloseTo(mean(all), 5);
    // The paper's form: cosines of vectors without negative numbers never cost a "no" less than ln 2.
    const [x, y] = [[[1, 0]], [[0, 1]]];
    expect(run({ type: "pair-matching", offset: 0 }, [x, y], [0])).toBeCloseTo(Math.LN2, 5);
  });
  test("nothing to order, no pair of a class: 0", () => {
    const x = [
      [1, 2],
      [3, 4],
    ];
    expect(run("cosent", [x, x], [1, 1])).toBe(0);
    for (const type of ["batch-all-triplet", "batch-semi-hard-triplet"]) expect(run(type, [x], [0, 1])).toBe(0);
  });
});

test("names, aliases, rows, and what is wrong with options", () => {
  const setup = { width: 8, layers: 1, seed: 1 };
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  expect(lossKind("mnrl").type).toBe("multiple-negatives");
  // A warm-up of 0 is one that was told.
  const { unknownLength } = lossKind("splade");
  expect([unknownLength?.({}), unknownLength?.({ warmupSteps: 0 })]).toEqual([
    expect.stringContaining("step 1000 on"),
    undefined,
  ]);
  expect(rowsOfLoss({ type: "matryoshka", base: { type: "matryoshka2d", base: "cosent" } })).toBe("scored-pair");
  expect(() => createLoss("magic", setup)).toThrow(code("LOSS_UNKNOWN"));
  expect(() => createLoss({ type: "cosent", scale: -1 }, setup)).toThrow(code("LOSS_OPTIONS"));
  expect(() => createLoss({ type: "cosent", size: 1 }, setup)).toThrow(code("LOSS_OPTIONS"));
  expect(() => createLoss({ type: "matryoshka", dims: [16] }, setup)).toThrow(code("INVALID_OPTION"));
  expect(() => createLoss("gist", setup)).toThrow(code("LOSS_GUIDE"));
  expect(() => createLoss("softmax", setup)).toThrow(code("LABELS_ONE_CLASS"));
});
