// Convolutional encoders on active places against their plain twin: dense maps that are masked after every operation.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  add,
  backward,
  copyInto,
  copyOf,
  mul,
  randomNormal,
  randomUniform,
  scope,
  sum,
  type Tensor,
  tensor,
  writeSafetensors,
} from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { denseStages } from "../../test/dense-convnet.js";
import { randomSource } from "../data/random-source.js";
import { type ActiveMask, activeAt, drawActive, hiddenCells } from "./active-mask.js";
import { type Convnet, createConvnet } from "./convnet.js";
import { exportEncoder, loadConvnet } from "./convnet-folder.js";
import { denseFeatures } from "./feature-map.js";
import { type ConvnetConfigInput, convnetPart, parseConvnetConfig } from "./nets/index.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-convnet-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const stages = [
  { channels: 8, depth: 2, stride: 2 },
  { channels: 12, depth: 1 },
  { channels: 16, depth: 1 },
];
const nets: Record<string, ConvnetConfigInput> = {
  "residual, basic": { type: "resnet", stem: { channels: 8, kernel: 3, stride: 1, pool: false }, stages },
  "residual, bottleneck, pooled stem": {
    type: "resnet",
    stem: { channels: 8, kernel: 7, stride: 2, pool: true },
    stages: [
      { channels: 8, depth: 1 },
      { channels: 16, depth: 2 },
    ],
    block: "bottleneck",
  },
  convnext: {
    type: "convnext",
    patch: 2,
    stages: [
      { channels: 8, depth: 2 },
      { channels: 12, depth: 1 },
      { channels: 16, depth: 1 },
    ],
    layerScale: 0.5,
  },
};
const images = 3;
const side = 32;
const pixels = (seed = 1): Tensor => randomNormal([images, 3, side, side], { seed });
const floats = (x: Tensor) => x.toTypedArray() as Float32Array;
const numbers = (x: Tensor): number[] => [...x.toTypedArray()];

/** A network whose vectors are not what they start with: biases that are not 0 are what masks must keep in. */
function trainedNet(config: ConvnetConfigInput): Convnet {
  const net = createConvnet(config, { seed: 3 });
  for (const [i, value] of [...net.parameters.values(), ...net.statistics.values()].entries()) {
    if (value.rank === 1) copyInto(value, randomUniform(value.shape, { seed: i, low: 0.5, high: 1.5 }));
  }
  return net;
}
const cells = side / 8;
const mask = (seed = 1): ActiveMask =>
  drawActive({ images, rows: cells, columns: cells, maskRatio: 0.6 }, randomSource(seed));
const everything: ActiveMask = {
  images,
  rows: cells,
  columns: cells,
  cells: new Uint8Array(images * cells * cells).fill(1),
};

function expectNear(received: Tensor, expected: Tensor, tolerance: number): void {
  expect(received.shape).toEqual(expected.shape);
  const [a, b] = [floats(received), floats(expected)];
  const scale = b.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  expect(most / scale).toBeLessThanOrEqual(tolerance);
}

describe.each(Object.entries(nets))("%s", (_, config) => {
  test.each([false, true])("all active: equals the dense network (training: %s)", (training) => {
    const net = trainedNet(config);
    const wanted = denseStages(net, pixels(), undefined, training);
    for (const active of [undefined, everything]) {
      const found = net.forward(pixels(), { active, training });
      expect(found).toHaveLength(net.strides.length);
      found.forEach((map, stage) => {
        expect(map.layout.height * net.strides[stage]).toBe(side);
        expectNear(denseFeatures(map), wanted[stage], 1e-6);
      });
    }
  });

  test.each([false, true])("with a mask: equals dense operations masked after each (training: %s)", (training) => {
    const net = trainedNet(config);
    const active = mask();
    const wanted = denseStages(net, pixels(), active, training);
    net.forward(pixels(), { active, training }).forEach((map, stage) => {
      expectNear(denseFeatures(map), wanted[stage], 2e-6);
    });
  });

  test("hidden cells are exactly 0 at every stage, visible ones are not", () => {
    const active = mask(2);
    for (const map of trainedNet(config).forward(pixels(), { active, training: true })) {
      const { height, width, images: count } = map.layout;
      const seen = activeAt(active, height, width);
      const dense = floats(denseFeatures(map));
      const channels = dense.length / (count * height * width);
      const strengths = Array.from(seen, (_, place) =>
        dense.subarray(place * channels, (place + 1) * channels).reduce((a, b) => a + Math.abs(b), 0),
      );
      expect(strengths.every((strength, place) => seen[place] === 1 || strength === 0)).toBe(true);
      expect(strengths.some((strength) => strength > 0)).toBe(true);
    }
  });

  test("pixels of hidden patches change nothing anywhere", () => {
    const active = mask(3);
    const hidden = activeAt(active, side, side);
    const first = pixels();
    const second = floats(first).map((value, i) => {
      const [image, place] = [Math.floor(i / (3 * side * side)), i % (side * side)];
      return hidden[image * side * side + place] === 1 ? value : 1e3 + i;
    });
    // Each its own network: training moves what a network keeps.
    const run = (x: Tensor) => {
      const net = trainedNet(config);
      const maps = net.forward(x, { active, training: true }).map(({ rows }) => numbers(rows));
      return { maps, statistics: [...net.statistics.values()].map(numbers) };
    };
    expect(run(tensor(second, first.shape))).toEqual(run(first));
  });

  test("gradients equal those of the dense operations", () => {
    const active = mask(4);
    const gradients = (forward: (net: Convnet) => readonly Tensor[]): Map<string, Tensor> => {
      const net = trainedNet(config);
      scope(() => {
        const loss = forward(net)
          .map((map, stage) => sum(mul(map, randomNormal(map.shape, { seed: 50 + stage }))))
          .reduce((a, b) => add(a, b));
        backward(loss);
      });
      return new Map([...net.parameters].flatMap(([name, { grad }]) => (grad ? [[name, copyOf(grad)]] : [])));
    };
    const sparse = gradients((net) => net.forward(pixels(), { active, training: true }).map(denseFeatures));
    const dense = gradients((net) => denseStages(net, pixels(), active, true));
    expect([...sparse.keys()]).toEqual([...dense.keys()]);
    for (const [name, gradient] of sparse) expectNear(gradient, dense.get(name) as Tensor, 2e-4);
  });

  test("a saved encoder computes the same, dense", () => {
    const net = trainedNet(config);
    net.forward(pixels(), { active: mask(), training: true });
    const place = join(folder, `saved-${config.type}-${config.stages.length}`);
    exportEncoder(net, place);
    const again = loadConvnet(place);
    expect(again.config).toEqual(net.config);
    expect(numbers(again.pooled(pixels()))).toEqual(numbers(net.pooled(pixels())));
    expect(numbers(again.pooled(pixels(), { active: mask() }))).toEqual(
      numbers(net.pooled(pixels(), { active: mask() })),
    );
    expect([...again.parameters.keys()].some((name) => name.includes("mask"))).toBe(false);
  });
});

describe("masks", () => {
  test("every image keeps the same number of cells, any of them", () => {
    const active = drawActive({ images: 400, rows: 7, columns: 7, maskRatio: 0.6 }, randomSource(5));
    const kept = Array.from({ length: 400 }, (_, i) =>
      active.cells.subarray(i * 49, (i + 1) * 49).reduce((a, b) => a + b),
    );
    expect(new Set(kept)).toEqual(new Set([20]));
    expect(hiddenCells(active)).toHaveLength(400 * 29);
    const often = Array.from({ length: 49 }, (_, cell) =>
      kept.reduce((n, __, i) => n + active.cells[i * 49 + cell], 0),
    );
    // 400 draws of 20 in 49: 163 ± 10 each.
    expect(Math.min(...often)).toBeGreaterThan(110);
    expect(Math.max(...often)).toBeLessThan(216);
    expect(
      drawActive({ images: 1, rows: 4, columns: 4, maskRatio: 0.6 }, randomSource(1)).cells.reduce((a, b) => a + b),
    ).toBe(6);
  });
  test("are repeated at other resolutions", () => {
    const active: ActiveMask = { images: 1, rows: 1, columns: 2, cells: Uint8Array.of(1, 0) };
    expect([...activeAt(active, 2, 4)]).toEqual([1, 1, 0, 0, 1, 1, 0, 0]);
    expect(() => activeAt(active, 2, 3)).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
  });
  test("must leave something to see and something to hide", () => {
    for (const maskRatio of [0.01, 0.99]) {
      expect(() => drawActive({ images: 1, rows: 2, columns: 2, maskRatio }, randomSource(1))).toThrow(
        expect.objectContaining({ code: "INVALID_OPTION" }),
      );
    }
  });
  test("belong to a batch and a size", () => {
    const net = createConvnet(nets.convnext, { seed: 1 });
    expect(() => net.forward(randomNormal([2, 3, side, side], { seed: 1 }), { active: mask() })).toThrow(
      expect.objectContaining({ code: "SHAPE_MISMATCH" }),
    );
    expect(() => net.forward(randomNormal([2, 1, side, side], { seed: 1 }))).toThrow(
      expect.objectContaining({ code: "SHAPE_MISMATCH" }),
    );
    expect(() => net.forward(randomNormal([2, 3, 4, 4], { seed: 1 }))).toThrow(
      expect.objectContaining({ code: "SHAPE_MISMATCH" }),
    );
  });
});

test("paths are dropped for whole images, by seed, in training alone", () => {
  const net = createConvnet(
    {
      type: "resnet",
      stem: { channels: 8, kernel: 3, stride: 1, pool: false },
      stages: [{ channels: 8, depth: 2 }],
      dropPath: 0.5,
    },
    { seed: 1 },
  );
  const run = (seed: number, training = true) => numbers(net.forward(pixels(), { training, seed })[0].rows);
  expect(run(1)).toEqual(run(1));
  expect(new Set([1, 2, 3, 4, 5].map((seed) => run(seed).join())).size).toBeGreaterThan(1);
  expect(run(1, false)).toEqual(run(2, false));
});

describe("known networks", () => {
  const size = (config: ConvnetConfigInput): number => {
    const parsed = parseConvnetConfig(config);
    const { parameters } = convnetPart(parsed).bind(parsed);
    return parameters.reduce((total, { shape }) => total + shape.reduce((a, b) => a * b), 0);
  };
  const four = (channels: readonly number[], depths: readonly number[]) =>
    channels.map((width, i) => ({ channels: width, depth: depths[i] }));
  // What torchvision says of them, without the 1000 classes.
  test.each<[string, ConvnetConfigInput, number]>([
    ["ResNet-18", { type: "resnet", stages: four([64, 128, 256, 512], [2, 2, 2, 2]) }, 11_689_512 - 513_000],
    [
      "ResNet-50",
      { type: "resnet", stages: four([256, 512, 1024, 2048], [3, 4, 6, 3]), block: "bottleneck" },
      25_557_032 - 2_049_000,
    ],
    ["ConvNeXt-T", { type: "convnext", stages: four([96, 192, 384, 768], [3, 3, 9, 3]) }, 28_589_128 - 769_000],
  ])("%s has its number of parameters, and the config.json of its model type", (_, config, expected) => {
    expect(size(config)).toBe(expected);
    const parsed = parseConvnetConfig(config);
    const part = convnetPart(parsed);
    const written = part.write(parsed);
    expect(written).toBeDefined();
    // Steps of stages are written out when they are read.
    const again = parseConvnetConfig(part.read(written ?? {}));
    expect(part.write(again)).toEqual(written);
    expect(size(again)).toBe(expected);
  });
});

describe("folders", () => {
  test("of a model type of transformers open without Cloze's own fields, with a prefix before names", () => {
    const net = trainedNet(nets["residual, bottleneck, pooled stem"]);
    const place = join(folder, "transformers");
    exportEncoder(net, place);
    const { cloze, ...json } = JSON.parse(readFileSync(join(place, "config.json"), "utf8"));
    expect(cloze.convnet).toEqual(net.config);
    expect(json).toMatchObject({ model_type: "resnet", architectures: ["ResNetModel"], layer_type: "bottleneck" });
    writeFileSync(join(place, "config.json"), JSON.stringify(json));
    writeSafetensors(
      join(place, "model.safetensors"),
      [...net.parameters, ...net.statistics].map(([name, value]) => [`resnet.${name}`, value] as const),
    );
    expect(numbers(loadConvnet(place).pooled(pixels()))).toEqual(numbers(net.pooled(pixels())));
  });
  test("that hold no such encoder are refused", () => {
    const place = join(folder, "refused");
    const code = (text: string) => expect.objectContaining({ code: text });
    expect(() => loadConvnet(place)).toThrow(code("CONFIG_MISSING"));
    exportEncoder(createConvnet(nets.convnext, { seed: 1 }), place);
    const write = (json: unknown) => writeFileSync(join(place, "config.json"), JSON.stringify(json));
    write([1]);
    expect(() => loadConvnet(place)).toThrow(code("CONFIG_INVALID"));
    write({ model_type: "bert" });
    expect(() => loadConvnet(place)).toThrow(code("MODEL_TYPE_UNKNOWN"));
    write({ model_type: "resnet", hidden_act: "gelu" });
    expect(() => loadConvnet(place)).toThrow(code("CONFIG_UNSUPPORTED"));
    write({ model_type: "resnet" });
    expect(() => loadConvnet(place)).toThrow(code("WEIGHT_MISSING"));
  });
});
