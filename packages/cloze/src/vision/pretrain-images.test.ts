import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copyInto, full, memory, randomUniform } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { type ImageSet, pixelStatistics } from "../data/images/image-set.js";
import { type Convnet, createConvnet } from "./convnet.js";
import { trainImageClassifier } from "./image-classifier.js";
import type { ConvnetConfigInput } from "./nets/index.js";
import { type PretrainImagesOptions, paintingLoss, pretrainImages } from "./pretrain-images.js";
import { probeImages } from "./probe-images.js";
import { recalibrate } from "./recalibrate.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-pretrain-images-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Stripes of two directions, with a colour each: what is hidden follows from what is seen. */
function stripes(count: number): ImageSet & { labels: Int32Array } {
  const side = 16;
  const noise = randomUniform([count, 3], { seed: 4 }).toTypedArray();
  const labels = Int32Array.from({ length: count }, (_, i) => i % 2);
  const pixels = Uint8Array.from({ length: count * 3 * side * side }, (_, at) => {
    const image = Math.floor(at / (3 * side * side));
    const channel = Math.floor(at / (side * side)) % 3;
    const [y, x] = [Math.floor(at / side) % side, at % side];
    const place = labels[image] === 0 ? y : x;
    return (Math.floor((place + 8 * noise[image * 3]) / 2) % 2) * 150 + 100 * noise[image * 3 + channel];
  });
  return { count, channels: 3, height: side, width: side, pixels, labels };
}
const images = stripes(48);
const small = (seed = 1): Convnet =>
  createConvnet(
    {
      type: "resnet",
      stem: { channels: 8, kernel: 3, stride: 1, pool: false },
      stages: [
        { channels: 8, depth: 1, stride: 2 },
        { channels: 16, depth: 1 },
      ],
      dropPath: 0.1,
    },
    { seed },
  );
const usual: PretrainImagesOptions = {
  objective: "spark",
  maskRatio: 0.6,
  decoderWidth: 16,
  batchSize: 16,
  optimizer: "adamw",
  learningRate: 5e-3,
  statistics: pixelStatistics(images),
  augment: { smallestPart: 1 },
};
const weights = ({ parameters, statistics }: Convnet): number[][] =>
  [...parameters.values(), ...statistics.values()].map((value) => [...value.toTypedArray()]);

describe("pretrainImages", () => {
  test("learns to paint what is hidden", async () => {
    let before = Number.NaN;
    let after = Number.NaN;
    const options = { ...usual, steps: 60 };
    await pretrainImages(small(), images, {
      ...options,
      steps: 1,
      inspect: (spark) => {
        before = paintingLoss(spark, images, { statistics: options.statistics });
      },
    });
    const net = small();
    const result = await pretrainImages(net, images, {
      ...options,
      inspect: (spark) => {
        after = paintingLoss(spark, images, { statistics: options.statistics });
      },
    });
    expect(result).toMatchObject({ steps: 60, images: 960, interrupted: false });
    expect(before).toBeGreaterThan(0.9);
    expect(after).toBeLessThan(0.7);
  });

  test.each(["adamw", "lamb"] as const)(
    "interrupted and resumed, it ends with the same weights (%s)",
    async (optimizer) => {
      const options = { ...usual, optimizer, learningRate: 1e-3, augment: {}, steps: 5 };
      const whole = small();
      await pretrainImages(whole, images, options);
      const place = join(folder, optimizer);
      const stopped = await pretrainImages(small(), images, {
        ...options,
        folder: place,
        shouldStop: (step) => step === 2,
      });
      expect(stopped.interrupted).toBe(true);
      const resumed = small(7);
      const rest = await pretrainImages(resumed, images, { ...options, folder: place, resume: true });
      expect(rest.steps).toBe(5);
      expect(weights(resumed)).toEqual(weights(whole));
      await expect(
        pretrainImages(small(), images, { ...options, folder: place, resume: true, maskRatio: 0.5 }),
      ).rejects.toThrow(expect.objectContaining({ code: "CHECKPOINT_MISMATCH" }));
    },
  );

  test("frees all that it made", async () => {
    const net = small();
    const before = memory.stats().liveBytes;
    await pretrainImages(net, images, { ...usual, steps: 2 });
    const held = [...net.parameters.values()].reduce((total, { grad }) => total + (grad?.size ?? 0) * 4, 0);
    expect(memory.stats().liveBytes - before).toBeLessThanOrEqual(held);
  });

  test("refuses images that do not fit", async () => {
    const code = (text: string) => expect.objectContaining({ code: text });
    const run = (set: ImageSet, options: PretrainImagesOptions = {}) =>
      pretrainImages(small(), set, { ...usual, steps: 1, ...options });
    await expect(run({ ...images, channels: 1, height: 48 })).rejects.toThrow(code("SHAPE_MISMATCH"));
    await expect(run({ ...images, height: 8, width: 30, count: 51 })).rejects.toThrow(code("SHAPE_MISMATCH"));
    await expect(run(images, { batchSize: 64 })).rejects.toThrow(code("DATA_EMPTY"));
    await expect(run(images, { steps: undefined })).rejects.toThrow(code("TRAINING_LENGTH"));
    await expect(run(images, { objective: "other" as "spark" })).rejects.toThrow(code("OBJECTIVE_OPTIONS"));
  });
});

test("a probe reads frozen features, and counts classes that it was not shown as missed", () => {
  const net = small();
  const before = weights(net);
  const options = { statistics: usual.statistics };
  expect(probeImages(net, images, images, options)).toBeGreaterThan(0.9);
  expect(weights(net)).toEqual(before);
  const other = { ...images, labels: images.labels.map((label) => label + 2) };
  expect(probeImages(net, images, other, options)).toBe(0);
  const one = { ...images, labels: images.labels.map(() => 1) };
  expect(() => probeImages(net, one, images)).toThrow(expect.objectContaining({ code: "LABELS_ONE_CLASS" }));
});

test("statistics are measured again on whole images, and nothing else changes", () => {
  const config: ConvnetConfigInput = {
    type: "resnet",
    stem: { channels: 4, kernel: 1, stride: 1, pool: false },
    stages: [{ channels: 4, depth: 1 }],
  };
  const net = createConvnet(config, { seed: 1 });
  const before = [...net.parameters.values()].map((value) => [...value.toTypedArray()]);
  for (const value of net.statistics.values()) copyInto(value, full(value.shape, 50));
  const statistics = { mean: [0, 0, 0], deviation: [1, 1, 1] };
  recalibrate(net, images, { statistics, batchSize: images.count });
  // The stem is one matrix: the means that it gives follow from the pixels' means.
  const { mean } = pixelStatistics(images);
  const kernel = net.parameters.get("embedder.embedder.convolution.weight")?.toTypedArray() as Float32Array;
  const running = net.statistics.get("embedder.embedder.normalization.running_mean")?.toTypedArray() as Float32Array;
  running.forEach((value, o) => {
    const expected = mean.reduce((total, one, c) => total + one * kernel[o * 3 + c], 0);
    expect(Math.abs(value - expected)).toBeLessThan(50 * 0.9 ** 45 + 1e-3);
  });
  expect([...net.parameters.values()].map((value) => [...value.toTypedArray()])).toEqual(before);
});

describe("trainImageClassifier", () => {
  const options = { classes: 2, epochs: 6, batchSize: 16, learningRate: 1e-2, statistics: usual.statistics };
  test("tells stripes apart, and leaves the encoder as it was", async () => {
    const net = small();
    const before = weights(net);
    const classifier = await trainImageClassifier(net, images, { ...options, augment: { smallestPart: 1 } });
    expect(classifier.accuracy(images)).toBeGreaterThan(0.95);
    expect(weights(net)).toEqual(before);
    expect(weights(classifier.net)).not.toEqual(before);
  });
  test("needs labels", async () => {
    const { labels: _, ...unlabelled } = images;
    await expect(trainImageClassifier(small(), unlabelled, options)).rejects.toThrow(
      expect.objectContaining({ code: "LABELS_MISSING" }),
    );
  });
});
