import { add, backward, mul, parameter, randomNormal, scope, type Tensor, tensor, zeros } from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { randomSource } from "../../data/random-source.js";
import { type ActiveMask, activeAt, drawActive, hiddenCells } from "../active-mask.js";
import { type Convnet, createConvnet } from "../convnet.js";
import type { ConvnetConfigInput } from "../nets/index.js";
import { normalizePatches, paintingError, patchify, unpatchify } from "./patches.js";
import { createSpark } from "./spark.js";

const images = 2;
const side = 16;
const stages = [
  { channels: 8, depth: 1, stride: 2 },
  { channels: 12, depth: 1 },
];
const nets: Record<string, ConvnetConfigInput> = {
  residual: { type: "resnet", stem: { channels: 8, kernel: 3, stride: 1, pool: false }, stages },
  convnext: {
    type: "convnext",
    patch: 2,
    stages: stages.map(({ channels, depth }) => ({ channels, depth })),
    layerScale: 1,
  },
};
const net = (config: ConvnetConfigInput): Convnet => createConvnet(config, { seed: 1 });
const pixels = (seed = 1): Tensor => randomNormal([images, 3, side, side], { seed });
const drawn = (seed = 1): ActiveMask => drawActive({ images, rows: 4, columns: 4, maskRatio: 0.6 }, randomSource(seed));
const floats = (x: Tensor) => x.toTypedArray() as Float32Array;

describe("patches", () => {
  const x = randomNormal([2, 8, 12, 3], { seed: 1 });
  test("put together again give the image", () => {
    const patches = patchify(x, 4);
    expect(patches.shape).toEqual([12, 48]);
    expect(floats(unpatchify(patches, x.shape, 4))).toEqual(floats(x));
    expect(floats(patches)).not.toEqual(floats(x));
  });
  test("hold the pixels of their square, row by row", () => {
    const second = floats(patchify(x, 4)).subarray(48, 96);
    const wanted: number[] = [];
    for (let y = 0; y < 4; y++)
      for (let z = 4; z < 8; z++) for (let c = 0; c < 3; c++) wanted.push(floats(x)[(y * 12 + z) * 3 + c]);
    expect([...second]).toEqual(wanted);
  });
  test("are wanted in their own units: mean 0, sample variance 1", () => {
    const patches = add(mul(randomNormal([4, 48], { seed: 2 }), 3), 5);
    const unit = floats(normalizePatches(patches));
    for (let row = 0; row < 4; row++) {
      const own = unit.subarray(row * 48, (row + 1) * 48);
      const before = floats(patches).subarray(row * 48, (row + 1) * 48);
      const mean = before.reduce((a, b) => a + b) / 48;
      const variance = before.reduce((total, value) => total + (value - mean) ** 2, 0) / 47;
      own.forEach((value, i) => {
        expect(value).toBeCloseTo((before[i] - mean) / Math.sqrt(variance + 1e-6), 4);
      });
    }
    expect(floats(normalizePatches(zeros([1, 48])))).toEqual(new Float32Array(48));
  });
});

describe("the loss", () => {
  const wanted = randomNormal([images, side, side, 3], { seed: 3 });
  const active = drawn();
  const hidden = hiddenCells(active);
  const seen = activeAt(active, side, side);

  test("is (n - 1) / n where nothing but each patch's mean is painted", () => {
    const values = 4 * 4 * 3;
    expect(paintingError(zeros(wanted.shape), wanted, 4, hidden).item()).toBeCloseTo((values - 1) / values, 4);
  });
  test("does not change with what is painted where the network sees", () => {
    const painted = randomNormal(wanted.shape, { seed: 4 });
    const before = paintingError(painted, wanted, 4, hidden).item();
    const changed = (where: number) =>
      tensor(
        floats(painted).map((value, i) => (seen[Math.floor(i / 3)] === where ? value + 100 : value)),
        wanted.shape,
      );
    expect(paintingError(changed(1), wanted, 4, hidden).item()).toBe(before);
    expect(paintingError(changed(0), wanted, 4, hidden).item()).toBeGreaterThan(before + 100);
    expect(paintingError(changed(1), wanted, 4).item()).toBeGreaterThan(before + 100);
  });
  test("sends gradients to hidden pixels alone", () => {
    const painted = parameter(randomNormal(wanted.shape, { seed: 5 }));
    scope(() => backward(paintingError(painted, wanted, 4, hidden)));
    const gradient = floats(painted.grad as Tensor);
    const reached = gradient.map((value) => Number(value !== 0));
    expect([...reached]).toEqual(Array.from(reached, (_, i) => 1 - seen[Math.floor(i / 3)]));
  });
});

describe.each(Object.entries(nets))("a network (%s)", (_, config) => {
  test("is trained by what it paints: gradients reach each of its parameters and each of the decoder's", () => {
    const encoder = net(config);
    const spark = createSpark(encoder, { decoderWidth: 16 }, 1);
    scope(() => backward(spark.forward(pixels(), drawn(), { training: true }).loss));
    const idle = [...encoder.parameters, ...spark.parameters].filter(([, { grad }]) => grad === undefined);
    // The norm of pooled features has no part in it.
    expect(idle.map(([name]) => name)).toEqual(
      config.type === "convnext" ? ["layernorm.weight", "layernorm.bias"] : [],
    );
    expect([...spark.parameters.keys()].filter((name) => name.endsWith(".mask"))).toEqual([
      "densify.0.mask",
      "densify.1.mask",
    ]);
  });

  test("does not see hidden pixels, so neither does what is painted", () => {
    const active = drawn(2);
    const spark = createSpark(net(config), { decoderWidth: 16 }, 1);
    const hidden = activeAt(active, side, side);
    const other = floats(pixels()).map((value, i) => {
      const [image, place] = [Math.floor(i / (3 * side * side)), i % (side * side)];
      return hidden[image * side * side + place] === 1 ? value : -value;
    });
    const painted = (x: Tensor) => [...floats(spark.forward(x, active).painted)];
    expect(painted(tensor(other, pixels().shape))).toEqual(painted(pixels()));
  });

  test("with every patch visible is the same sparse and with zeros for hidden pixels; else it is not", () => {
    const encoder = net(config);
    const everything: ActiveMask = { images, rows: 4, columns: 4, cells: new Uint8Array(images * 16).fill(1) };
    const painted = (sparse: boolean, active: ActiveMask) => [
      ...floats(
        createSpark(encoder, { decoderWidth: 16, sparse, lossOver: "all" }, 1).forward(pixels(), active).painted,
      ),
    ];
    expect(painted(true, everything)).toEqual(painted(false, everything));
    expect(painted(true, drawn())).not.toEqual(painted(false, drawn()));
  });

  test("paints from the last stage alone where it is told to", () => {
    const spark = createSpark(net(config), { decoderWidth: 16, scales: "last" }, 1);
    expect([...spark.parameters.keys()].filter((name) => name.endsWith(".mask"))).toEqual(["densify.0.mask"]);
    expect(Number.isFinite(spark.forward(pixels(), drawn()).loss.item())).toBe(true);
  });
});

describe("the decoder", () => {
  test("starts with the width that it is given, halves it, and takes maps as they are where they fit", () => {
    const spark = createSpark(net(nets.residual), { decoderWidth: 12 }, 1);
    expect(spark.patch).toBe(4);
    expect(spark.parameters.get("decoder.0.up.weight")?.shape).toEqual([12, 12, 4, 4]);
    expect(spark.parameters.get("decoder.0.second.weight")?.shape).toEqual([6, 12, 3, 3]);
    expect(spark.parameters.get("paint.weight")?.shape).toEqual([3, 3, 1, 1]);
    expect(spark.parameters.has("densify.0.projection.weight")).toBe(false);
    expect(spark.parameters.get("densify.1.projection.weight")?.shape).toEqual([6, 8, 3, 3]);
    expect(
      createSpark(net(nets.residual), { decoderWidth: 16 }, 1).parameters.get("densify.0.projection.weight")?.shape,
    ).toEqual([16, 12, 1, 1]);
  });
  test("says what does not fit", () => {
    const code = (text: string) => expect.objectContaining({ code: text });
    expect(() => createSpark(net(nets.residual), { decoderWidth: 18 })).toThrow(code("INVALID_OPTION"));
    expect(() => createSpark(net(nets.residual), { maskRatio: 2 })).toThrow(code("OBJECTIVE_OPTIONS"));
    const odd = net({ type: "convnext", patch: 3, stages: [{ channels: 4, depth: 1 }] });
    expect(() => createSpark(odd, { decoderWidth: 16 })).toThrow(code("CONFIG_INVALID"));
    expect(() => createSpark(net(nets.residual), { decoderWidth: 16 }).grid(18, 16)).toThrow(code("SHAPE_MISMATCH"));
  });
});
