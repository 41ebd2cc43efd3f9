import { fileURLToPath } from "node:url";
import { linear, noGrad, scope, tensor } from "@cloze/tensor";
import { expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import type { EncoderBatch } from "../encoder/batch.js";
import { parseEncoderConfig } from "../encoder/config.js";
import { createEncoder } from "../encoder/encoder.js";
import { bindWeight } from "../encoder/weights/index.js";
import { loadModel, type Model } from "./index.js";

const fixture = fileURLToPath(new URL("../../test/fixtures/families/convbert/Model", import.meta.url));
const hidden = (model: Model, batch: EncoderBatch, options = {}): number[] =>
  scope(() => noGrad(() => Array.from(model.forward(batch, options).hidden.toTypedArray())));

test("padding changes what it stands beside, as in transformers; a packed batch has none", () => {
  const model = loadModel(fixture);
  const [long, short] = [
    [5, 6, 7, 8, 9, 10],
    [11, 12, 13],
  ];
  const packed = hidden(model, packSequences([{ ids: long }, { ids: short }]));
  const padded = hidden(model, {
    ...packSequences([{ ids: long }, { ids: [...short, 1, 1, 1] }]),
    visible: Int32Array.of(6, 3),
  });
  const width = model.config.hiddenSize;
  const distance = (from: number, to: number): number =>
    Math.max(...packed.slice(from * width, to * width).map((value, i) => Math.abs(value - padded[from * width + i])));
  expect(distance(0, 6)).toBeLessThan(1e-5);
  // The kernel of three tokens reaches padding from the last one.
  expect(distance(8, 9)).toBeGreaterThan(1e-3);
  model.dispose();
});

test("sizes that do not fit are refused", () => {
  const config = (mixer: object, channel: object = { type: "none" }) => ({
    vocabularySize: 9,
    hiddenSize: 6,
    layers: [{ mixer: { type: "convolution-attention", ...mixer }, channel }],
  });
  const create = (mixer: object, channel?: object) => () =>
    createEncoder(parseEncoderConfig(config(mixer, channel)), { seed: 1 });
  const refused = expect.objectContaining({ code: "CONFIG_INVALID" });
  expect(create({ heads: 2 })).toThrow(refused);
  expect(create({ heads: 1, kernelSize: 4 })).toThrow(refused);
  const weights = { input: { type: "grouped", groups: 4 } };
  expect(create({ heads: 1 }, { type: "mlp", intermediateSize: 8, weights })).toThrow(refused);
});

test("grouped weights are a matrix with zeros between the groups", () => {
  const bound = bindWeight({ type: "grouped", groups: 2 }, { name: "m", outputs: 6, inputs: 4, bias: true });
  expect(bound.parameters.map(({ shape }) => shape)).toEqual([[6, 2], [6]]);
  const draw = (count: number) => Array.from({ length: count }, (_, i) => Math.sin(3 * i + 1));
  const [values, bias, x] = [draw(12), draw(6), draw(12)];
  scope(() => {
    const parameters = { weight: tensor(values, [6, 2]), bias: tensor(bias, [6]) };
    const y = bound.linear(tensor(x, [3, 4]), (name) => parameters[name as "weight"], { activation: "tanh" });
    const full = Array.from({ length: 24 }, (_, at) => {
      const [row, column] = [Math.floor(at / 4), at % 4];
      return Math.floor(row / 3) === Math.floor(column / 2) ? values[row * 2 + (column % 2)] : 0;
    });
    const dense = linear(tensor(x, [3, 4]), tensor(full, [6, 4]), parameters.bias, { activation: "tanh" });
    const expected = dense.toTypedArray();
    Array.from(y.toTypedArray()).forEach((value, i) => {
      expect(value).toBeCloseTo(Number(expected[i]), 6);
    });
  });
});
