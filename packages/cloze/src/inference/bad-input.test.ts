// What plans get that they cannot use: an error with a code, or the right result; never a crash.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { memory } from "@cloze/tensor";
import { expect, test } from "vitest";
import { type PackedBatch, packSequences } from "../data/packed-batch.js";
import type { EncoderConfigInput } from "../encoder/config.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { compile } from "./compile.js";

const small = uniformEncoder({
  vocabularySize: 40,
  hiddenSize: 32,
  layers: 2,
  heads: 4,
  maxPositions: 12,
  initializerRange: 0.2,
});
const rotary: EncoderConfigInput = {
  ...small,
  segmentVocabularySize: 0,
  embeddings: { positions: "none" },
  layers: [
    {
      mixer: { type: "attention", heads: 4, rotary: { theta: 100, interleaved: false } },
      channel: { type: "gated-mlp", intermediateSize: 16 },
    },
  ],
};
const relative: EncoderConfigInput = {
  ...small,
  embeddings: { positions: "none" },
  layers: [{ mixer: { type: "relative-bias-attention", heads: 4 }, channel: { type: "none" } }],
};
const mixedBy = (mixer: object, more: object = {}): EncoderConfigInput =>
  ({
    ...small,
    embeddings: { positions: "none" },
    layers: [{ mixer, channel: { type: "mlp", intermediateSize: 16 }, ...more }],
  }) as EncoderConfigInput;
const configs = {
  "learned positions": small,
  rotary,
  "by distance": relative,
  Fourier: mixedBy({ type: "fourier" }),
  "span-dynamic convolution": mixedBy({ type: "convolution-attention", heads: 2, kernelSize: 9 }),
  "convolution beside attention": mixedBy(
    { type: "attention", heads: 4 },
    { parallel: { type: "convolution", kernels: [3] } },
  ),
  landmarks: mixedBy({ type: "nystrom", heads: 4, landmarks: 5, kernelSize: 65 }),
  decoder: mixedBy({ type: "attention", heads: 4, causal: true }),
};
const kinds = ["float32", "int8", "sparse", "sparse-int8"] as const;
const batch = packSequences([{ ids: [1, 2, 3] }, { ids: [4] }]);

for (const [name, config] of Object.entries(configs)) {
  test.each(kinds)(
    `${name}, %s: bad batches are refused by code, in both ways of running, and good ones run on`,
    async (weights) => {
      const model = createModel({ architecture: "Model", config });
      const compiled = compile(model, { weights, outputs: "pooled" });
      const good = await compiled.run(batch);
      const refused = async (change: Partial<PackedBatch>, code: string): Promise<void> => {
        const bad = { ...batch, ...change };
        await expect(compiled.run(bad)).rejects.toMatchObject({ code });
        expect(() => compiled.runSync(bad)).toThrow(expect.objectContaining({ code }));
      };
      for (const id of [-1, 40, 2 ** 31 - 1, -(2 ** 31)])
        await refused({ ids: Int32Array.of(1, id, 3, 4) }, "TOKEN_OUT_OF_RANGE");
      for (const offsets of [[], [0], [0, 4, 3], [0, 5], [1, 4], [0, -1, 4], [0, 3, 2, 4], [0, 3]]) {
        await refused({ offsets: Int32Array.from(offsets) }, "BATCH_SHAPE");
      }
      await refused({ positions: Int32Array.of(0) }, "BATCH_SHAPE");
      await refused({ segments: new Int32Array(9) }, "BATCH_SHAPE");
      await refused({ offsets: Int32Array.of(0, 0, 4) }, "EMPTY_SEQUENCE");
      // Nothing to do, and one token, are no mistakes.
      expect(await compiled.run(packSequences([]))).toHaveLength(0);
      const one = await compiled.run(packSequences([{ ids: [4] }]));
      expect(one.every((value, i) => Math.abs(value - good[32 + i]) < 1e-5)).toBe(true);
      expect(await compiled.run(batch)).toEqual(good);
      compiled.close();
      model.dispose();
    },
  );
}

test("sequences longer than the positions: refused where these are learned, computed by the engine where they are not", async () => {
  const long = packSequences([{ ids: Array.from({ length: 20 }, (_, i) => i) }]);
  for (const [name, config] of Object.entries(configs)) {
    const model = createModel({ architecture: "Model", config });
    const compiled = compile(model);
    if (name === "learned positions") {
      await expect(compiled.run(long)).rejects.toMatchObject({ code: "SEQUENCE_TOO_LONG" });
      const positions = long.positions.map((place) => place - 15);
      await expect(compiled.run({ ...long, positions })).rejects.toMatchObject({ code: "SEQUENCE_TOO_LONG" });
    } else {
      expect(compiled.takes(long)).toBe(false);
      expect(await compiled.run(long)).toEqual(model.forward(long).hidden.toTypedArray());
    }
    compiled.close();
    model.dispose();
  }
});

test("sequences with more tokens than landmarks: computed by the engine, and the plan takes the next ones", async () => {
  const model = createModel({ architecture: "Model", config: configs.landmarks });
  const compiled = compile(model);
  const [short, middle] = [5, 6].map((length) => packSequences([{ ids: Array.from({ length }, (_, i) => i + 1) }]));
  expect([short, middle].map(compiled.takes)).toEqual([true, false]);
  expect(await compiled.run(middle)).toEqual(model.forward(middle).hidden.toTypedArray());
  expect(compiled.runSync(short)).toHaveLength(5 * 32);
  compiled.close();
  model.dispose();
});

test.each(kinds)("%s: weights that hold NaN give NaN, not a crash", async (weights) => {
  const model = createModel({ architecture: "Model", config: small });
  const before = compile(model, { weights });
  for (const name of ["layers.0.mixer.queryKeyValue.weight", "embeddings.word.weight", "layers.1.channelNorm.weight"]) {
    const parameter = model.encoder.parameters.get(name);
    const values = parameter?.toTypedArray().slice() as Float32Array;
    parameter?.storage.backend.write(values.slice().fill(Number.NaN, 0, 64), parameter.pointer as number);
    const broken = compile(model, { weights });
    const result = await broken.run(packSequences([{ ids: [0, 1, 2] }]));
    expect(result).toHaveLength(3 * 32);
    expect(result.some(Number.isNaN), name).toBe(true);
    broken.close();
    parameter?.storage.backend.write(values, parameter.pointer as number);
  }
  expect((await before.run(batch)).some(Number.isNaN)).toBe(false);
  before.close();
  model.dispose();
});

test.each(Object.entries(configs))(
  "%s: a token whose vector holds NaN leaves other sequences as they are",
  async (_, config) => {
    const model = createModel({ architecture: "Model", config });
    const good = await compile(model).run(packSequences([{ ids: [1, 2, 3] }]));
    const table = model.encoder.parameters.get("embeddings.word.weight");
    const values = table?.toTypedArray().slice() as Float32Array;
    table?.storage.backend.write(values.fill(Number.NaN, 32 * 9, 32 * 10), table.pointer as number);
    const broken = compile(model);
    const result = await broken.run(packSequences([{ ids: [4, 9] }, { ids: [1, 2, 3] }, { ids: [9] }]));
    expect(result.subarray(2 * 32, 5 * 32)).toEqual(good);
    expect(result.subarray(32, 2 * 32).every(Number.isNaN)).toBe(true);
    expect(result.subarray(5 * 32).every(Number.isNaN)).toBe(true);
    broken.close();
    model.dispose();
  },
);

test("a plan that was closed refuses, also while a run is under way, which ends well", async () => {
  const model = createModel({ architecture: "Model", config: small });
  const start = memory.stats().liveBytes;
  for (const planned of [true, false]) {
    const compiled = planned
      ? compile(model)
      : compile({ ...model.encoder, config: { ...small }, plan: model.encoder.plan } as typeof model.encoder);
    const expected = compiled.runSync(batch);
    const running = [compiled.run(batch), compiled.run(batch)];
    compiled.close();
    await expect(compiled.run(batch)).rejects.toMatchObject({ code: "PLAN_CLOSED" });
    expect(() => compiled.runSync(batch)).toThrow(expect.objectContaining({ code: "PLAN_CLOSED" }));
    for (const result of await Promise.all(running)) expect(result).toEqual(expected);
    compiled.close();
  }
  expect(memory.stats().liveBytes).toBe(start);
  model.dispose();
});

const built = fileURLToPath(new URL("../../dist/index.js", import.meta.url));

test.skipIf(!existsSync(built))("plans of several workers at once, each with many runs under way", async () => {
  const program = `
    const { workerData, parentPort } = require("node:worker_threads");
    import(workerData.module).then(async ({ createModel, compile, packSequences }) => {
      const sums = [];
      for (const [config, weights] of workerData.works) {
        const model = createModel({ architecture: "Model", config, seed: 5 });
        const compiled = compile(model, { weights, outputs: "pooled", threads: workerData.threads });
        const batches = Array.from({ length: 40 }, (_, i) =>
          packSequences(Array.from({ length: 1 + (i % 7) }, (_, s) => ({ ids: Array.from({ length: 1 + ((i + s) % 12) }, (_, t) => (i * s + t) % 40) }))),
        );
        const results = await Promise.all(batches.map((batch) => compiled.run(batch)));
        sums.push(results.map((values) => Array.from(values)));
        compiled.close();
        model.dispose();
      }
      parentPort.postMessage(JSON.stringify(sums));
    });`;
  const works = Object.values(configs).flatMap((config) => [
    [config, "float32"],
    [config, "int8"],
  ]);
  const results = await Promise.all(
    [1, 2, 2, 2].map(
      (threads) =>
        new Promise<string>((resolve, reject) => {
          const workerData = { module: built, threads, works };
          const worker = new Worker(program, { eval: true, workerData, execArgv: [] });
          worker.on("message", resolve);
          worker.on("error", reject);
          worker.on("exit", (code) => code !== 0 && reject(new Error(`a worker ended with ${code}`)));
        }),
    ),
  );
  // Whatever the threads and whoever else runs: the same bits.
  expect(new Set(results).size).toBe(1);
  expect(JSON.parse(results[0])).toHaveLength(works.length);
});
