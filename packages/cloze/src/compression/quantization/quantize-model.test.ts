import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backward, createRandom, memory, noGrad, scope, sum } from "@cloze/tensor";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { packSequences } from "../../data/packed-batch.js";
import { type EncoderConfigInput, uniformEncoder } from "../../encoder/config.js";
import {
  type CodeForm,
  decodeGroups,
  encodeGroups,
  groupOf,
  packCodes,
  unpackCodes,
} from "../../encoder/weights/group-codes.js";
import { createModel, loadModel, type Model, saveModel } from "../../families/index.js";
import { compile } from "../../inference/compile.js";
import { closeness } from "../../inference/measure-plans.js";
import { calibrate, quantizeModel } from "./quantize-model.js";
import { createRangeCollector, rangeEstimators } from "./range.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-quantize-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const config: EncoderConfigInput = uniformEncoder({
  vocabularySize: 50,
  hiddenSize: 48,
  layers: 2,
  heads: 4,
  maxPositions: 20,
  initializerRange: 0.1,
});
const made = (): Model => createModel({ architecture: "ForSequenceClassification", config, labels: 3 });
const batch = packSequences([{ ids: [1, 2, 3, 4, 5] }, { ids: [6] }, { ids: [7, 8, 9, 10, 11, 12, 13, 14] }]);
const hiddenOf = (model: Model): Float32Array =>
  scope(() => noGrad(() => model.encoder.forward(batch).hidden.toTypedArray().slice() as Float32Array));

/** Rows with scales of their own, as trained matrices have them. */
function rowScaled(outputs: number, inputs: number): Float32Array {
  const random = createRandom(3);
  const scales = Array.from({ length: outputs }, () => Math.exp(0.5 * random.normal()));
  return Float32Array.from({ length: outputs * inputs }, (_, i) => scales[Math.floor(i / inputs)] * random.normal());
}
const relativeError = (values: Float32Array, outputs: number, inputs: number, form: CodeForm): number => {
  const close = decodeGroups(encodeGroups(values, outputs, inputs, form), outputs, inputs);
  const norm = (of: (i: number) => number) => Math.sqrt(values.reduce((total, _, i) => total + of(i) ** 2, 0));
  return norm((i) => close[i] - values[i]) / norm((i) => values[i]);
};

test("codes: in range, nearest, the same for their own numbers, packed and unpacked", () => {
  const bits = fc.constantFrom(2 as const, 3 as const, 4 as const, 8 as const);
  fc.assert(
    fc.property(
      bits,
      fc.integer({ min: 1, max: 9 }),
      fc.nat(12),
      fc.nat(17),
      fc.nat(),
      (b, groups, rows, columns, seed) => {
        const [outputs, inputs] = [rows + 1, columns + 1];
        const random = createRandom(seed);
        const values = Float32Array.from({ length: outputs * inputs }, () => random.normal());
        const form = { bits: b, groups };
        const coded = encodeGroups(values, outputs, inputs, form);
        const close = decodeGroups(coded, outputs, inputs);
        const [low, high] = b === 8 ? [-127, 127] : [0, 2 ** b - 1];
        coded.codes.forEach((code, i) => {
          expect(code).toBeGreaterThanOrEqual(low);
          expect(code).toBeLessThanOrEqual(high);
          const step = coded.steps[groupOf(Math.floor(i / inputs), outputs, coded.steps.length)];
          expect(Math.abs(close[i] - values[i])).toBeLessThanOrEqual(step * 0.5001 + 1e-6);
        });
        expect(encodeGroups(close, outputs, inputs, form).codes).toEqual(coded.codes);
        const packed = packCodes(coded.codes, outputs, inputs, b);
        expect(unpackCodes(packed, outputs, inputs, b)).toEqual(coded.codes);
      },
    ),
    { numRuns: 60 },
  );
});

test("groups: one is the whole matrix; the order of rows inside a group does not matter; more groups lose less", () => {
  const [outputs, inputs] = [96, 96];
  const values = rowScaled(outputs, inputs);
  const one = encodeGroups(values, outputs, inputs, { bits: 4, groups: 1 });
  expect([one.steps.length, one.least[0]]).toEqual([1, values.reduce((a, b) => Math.min(a, b))]);
  const turned = values.slice();
  turned.set(values.subarray(0, inputs), inputs);
  turned.set(values.subarray(inputs, 2 * inputs), 0);
  const [a, b] = [values, turned].map((each) => encodeGroups(each, outputs, inputs, { bits: 4, groups: 16 }));
  expect([a.steps, a.least]).toEqual([b.steps, b.least]);
  for (const bits of [2, 3, 4] as const) {
    const [grouped, whole] = [48, 1].map((groups) => relativeError(values, outputs, inputs, { bits, groups }));
    expect(grouped).toBeLessThan(0.6 * whole);
  }
});

test.each([8, 4, 3] as const)(
  "%i bits: saved as codes, the same when loaded, the same in a plan, trained on",
  (bits) => {
    const before = memory.stats().liveBytes;
    const original = made();
    const exact = hiddenOf(original);
    saveModel(original, join(folder, "full"));
    const model = quantizeModel(original, { bits, groups: 24 });
    const rounded = hiddenOf(model);
    expect(closeness(exact, rounded, 48).cosine).toBeGreaterThan({ 8: 0.9999, 4: 0.97, 3: 0.9 }[bits]);
    expect(rounded).not.toEqual(exact);
    const path = join(folder, String(bits));
    saveModel(model, path);
    const [small, large] = [path, join(folder, "full")].map((each) => statSync(join(each, "model.safetensors")).size);
    expect(small).toBeLessThan({ 8: 0.6, 4: 0.5, 3: 0.5 }[bits] * large);
    const again = loadModel(path);
    hiddenOf(again).forEach((value, i) => {
      expect(Math.abs(value - rounded[i])).toBeLessThan(1e-5);
    });
    const compiled = compile(again);
    expect(compiled.planned).toBe(true);
    expect(closeness(rounded, compiled.runSync(batch), 48).cosine).toBeGreaterThan(0.999);
    compiled.close();
    const weight = again.parameters.get("encoder.layers.0.channel.input.weight");
    scope(() => backward(sum(again.forward(batch).logits ?? again.forward(batch).hidden)));
    expect(Array.from(weight?.grad?.toTypedArray() ?? []).some((value) => value !== 0)).toBe(true);
    // What training writes lies between the codes; the forward pass rounds it again.
    const values = Float32Array.from(weight?.toTypedArray() ?? [], (value) => value + 1e-4);
    weight?.storage.backend.write(values, weight.pointer as number);
    weight?.markWritten();
    expect(closeness(rounded, hiddenOf(again), 48).cosine).toBeGreaterThan(0.9999);
    again.dispose();
    model.dispose();
    expect(memory.stats().liveBytes).toBe(before);
  },
);

test("weights that hold NaN are refused, and nothing is written", () => {
  const model = made();
  const weight = model.parameters.get("encoder.layers.1.mixer.output.weight");
  const values = weight?.toTypedArray().slice() as Float32Array;
  values[5] = Number.NaN;
  weight?.storage.backend.write(values, weight.pointer as number);
  const first = model.parameters.get("encoder.layers.0.mixer.output.weight")?.toTypedArray().slice();
  expect(() => quantizeModel(model, { bits: 4 })).toThrow(expect.objectContaining({ code: "NOT_FINITE" }));
  expect(model.parameters.get("encoder.layers.0.mixer.output.weight")?.toTypedArray()).toEqual(first);
  expect(() => quantizeModel(model, { groups: 0 })).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  model.dispose();
});

test("ranges: extremes, their running mean, all but the outermost, the nearest codes", () => {
  const [extremes, percentile, mse] = rangeEstimators.map(createRangeCollector);
  const random = createRandom(1);
  const values = Float32Array.from({ length: 20000 }, () => random.normal());
  values[7] = 100;
  for (const collector of [extremes, percentile, mse]) collector.add(values);
  const least = values.reduce((a, b) => Math.min(a, b));
  expect(extremes.range()).toEqual({ low: least, high: 100 });
  expect(percentile.range().high).toBeLessThan(5);
  expect(mse.range().high).toBeLessThan(100);
  extremes.add(Float32Array.of(-1, 0));
  expect(extremes.range().high).toBeCloseTo(90, 4);
  for (const estimator of rangeEstimators) {
    expect(createRangeCollector(estimator).range()).toEqual({ low: -1, high: 1 });
    const constant = createRangeCollector(estimator);
    constant.add(new Float32Array(10).fill(3));
    expect(constant.range()).toMatchObject({ low: 0 });
  }
});

test.each(rangeEstimators)(
  "static activations (%s) stay close, are saved with the model, and need samples",
  (estimator) => {
    const model = made();
    const exact = hiddenOf(model);
    expect(() => calibrate(model, [], estimator)).toThrow(expect.objectContaining({ code: "NO_TEXT" }));
    const inputRanges = calibrate(model, [batch, batch], estimator);
    expect([...inputRanges.keys()].sort()).toEqual(
      [0, 1].flatMap((layer) =>
        ["channel.input", "channel.output", "mixer.output", "mixer.queryKeyValue"].map(
          (name) => `layers.${layer}.${name}`,
        ),
      ),
    );
    const small = quantizeModel(model, { inputRanges });
    const path = join(folder, estimator);
    saveModel(small, path);
    const again = loadModel(path);
    const [a, b] = [small, again].map((each) => compile(each));
    expect(b.runSync(batch)).toEqual(a.runSync(batch));
    expect(closeness(exact, a.runSync(batch), 48).cosine).toBeGreaterThan(0.995);
    for (const each of [a, b]) each.close();
    for (const each of [small, again]) each.dispose();
  },
);
