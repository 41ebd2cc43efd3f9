import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Tensor } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { collectRows } from "../data/readers/index.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel, loadModel } from "../families/index.js";
import { loadTokenizer, trainWordPiece } from "../text/index.js";
import { createEmbedder, type Embedder } from "./embedder.js";
import { stsEvaluator } from "./evaluation/sts.js";
import { type LossConfig, lossKind } from "./losses/index.js";
import { type EmbeddingRow, type TrainEmbedderOptions, trainEmbedder, trainSentenceEncoder } from "./train-embedder.js";
import { epochPlan } from "./training/batches.js";
import { readEmbeddingRows } from "./training/rows.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-train-embedder-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const animals = ["cat", "dog", "horse", "cow"];
const things = ["moon", "star", "sun", "earth"];
const sentences = [...animals, ...things].flatMap((noun) => [
  `a ${noun} here`,
  `the small ${noun}`,
  `${noun} and more`,
]);
const tokenizer = trainWordPiece(sentences, { vocabularySize: 90, minFrequency: 1 });
const create = (normalize = true): Embedder => {
  const config = uniformEncoder({
    vocabularySize: tokenizer.vocabularySize,
    hiddenSize: 16,
    layers: 2,
    heads: 2,
    intermediateSize: 24,
    maxPositions: 16,
    initializerRange: 0.2,
    dropout: 0,
  });
  return createEmbedder(createModel({ architecture: "Model", config, head: { type: "none" }, seed: 4 }), tokenizer, {
    normalize,
  });
};
const isAnimal = (text: string): boolean => animals.some((noun) => text.includes(noun));
const pairs: EmbeddingRow[] = [...animals, ...things].map((noun) => ({
  texts: [`a ${noun} here`, `the small ${noun}`, `${noun === "cat" ? "dog" : "cat"} and more`],
}));
const scored: EmbeddingRow[] = sentences.map((text, i) => {
  const other = sentences[(i * 7 + 5) % sentences.length];
  return { texts: [text, other], label: Number(isAnimal(text) === isAnimal(other)) };
});
const labelled: EmbeddingRow[] = sentences.map((text) => ({
  texts: [text],
  label: isAnimal(text) ? "animal" : "thing",
}));
const nli = scored.map(({ texts, label }) => ({ texts, label: label === 1 ? "same" : "other" }));
const margins = pairs.map(({ texts }) => ({ texts, label: [0.5] }));
const vectors = sentences.map((text, i) => ({
  texts: [text],
  label: Array.from({ length: 16 }, (_, c) => Math.sin(i + c)),
}));

/** Rows for each loss. */
const rowsFor = (config: LossConfig): EmbeddingRow[] => {
  const base = typeof config === "object" && typeof config.base === "string" ? config.base : config;
  const { rows } = lossKind(base as LossConfig);
  const byShape = { pair: pairs, triplet: pairs, "scored-pair": scored, "binary-pair": scored, "class-pair": nli };
  const others = { "labelled-text": labelled, margin: margins, vector: vectors, any: pairs };
  return { ...byShape, ...others }[rows];
};
const losses: LossConfig[] = [
  ...["multiple-negatives", "gist", "cosent", "angle", "cosine", "softmax", "triplet", "batch-hard-triplet"],
  ...["batch-semi-hard-triplet", "batch-all-triplet", "contrastive", "online-contrastive", "margin-mse", "mse"],
  { type: "matryoshka", base: "cosent", dims: [16, 4] },
  { type: "matryoshka2d", base: "multiple-negatives", dims: [16, 8, 4] },
];
const values = ({ parameters }: Embedder): number[][] =>
  [...parameters.values()].map((value: Tensor) => Array.from(value.toTypedArray() as Float32Array));
const train = (embedder: Embedder, loss: LossConfig, options: TrainEmbedderOptions = {}) => {
  const guide = loss === "gist" ? create() : undefined;
  return trainEmbedder(embedder, rowsFor(loss), {
    loss,
    guide,
    steps: 3,
    batchSize: 8,
    learningRate: 1e-2,
    ...options,
  });
};

describe("every loss", () => {
  test.each(losses.map((loss) => [typeof loss === "string" ? loss : loss.type, loss] as const))(
    "%s falls",
    async (_, loss) => {
      const embedder = create();
      const all = { batchSize: 64, noDuplicates: false };
      const first = await train(embedder, loss, { ...all, steps: 1, learningRate: 0 });
      const last = await train(embedder, loss, { ...all, steps: 12, learningRate: 3e-3 });
      expect(last.loss).toBeLessThan(first.loss);
      embedder.dispose();
    },
  );

  test.each(["multiple-negatives", "cosent", "softmax", "batch-hard-triplet", "mse"])(
    "%s in chunks is the whole",
    async (loss) => {
      const [whole, parts] = [create(), create()];
      const a = await train(whole, loss, { learningRate: 1e-3 });
      const b = await train(parts, loss, { learningRate: 1e-3, chunkSize: 3 });
      expect(b.loss).toBeCloseTo(a.loss, 4);
      // Adam turns rounding of gradients near 0 into whole steps, so vectors are compared, not weights.
      const [x, y] = [whole, parts].map((one) => one.embed(sentences).toTypedArray() as Float32Array);
      expect(Math.max(...x.map((value, i) => Math.abs(value - y[i])))).toBeLessThan(2e-3);
      whole.dispose();
      parts.dispose();
    },
  );

  test("one that needs more than the vectors is not computed in chunks", async () => {
    const embedder = create();
    const chunked = train(embedder, { type: "matryoshka2d", dims: [8] }, { chunkSize: 2 });
    await expect(chunked).rejects.toThrow(expect.objectContaining({ code: "LOSS_OPTIONS" }));
    embedder.dispose();
  });
});

describe("2DMSE is sentence-transformers' loss of a whole model", () => {
  const fixtures = fileURLToPath(new URL("../../test/fixtures/embedders", import.meta.url));
  interface DepthCase {
    config: LossConfig;
    texts: string[][];
    value: number;
    position_gradient: number[][];
  }
  const { depths } = JSON.parse(readFileSync(join(fixtures, "losses.json"), "utf8")) as { depths: DepthCase[] };
  test.each(depths.map((one, i) => [i, one] as const))(
    "case %i",
    async (_, { config, texts, value, position_gradient }) => {
      const model = loadModel(join(fixtures, "encoder"));
      const embedder = createEmbedder(model, loadTokenizer(join(fixtures, "encoder")), { maxLength: 14 });
      // Nothing random: the fixture's model is in evaluation mode.
      const { forward } = model.encoder;
      const quiet = {
        ...model.encoder,
        forward: (batch: never, options: object) => forward(batch, { ...options, training: false }),
      };
      const still = createEmbedder(
        { ...model, encoder: quiet as typeof model.encoder },
        embedder.tokenizer,
        embedder.options,
      );
      const rows = texts[0].map((__, i) => ({ texts: texts.map((column) => column[i]) }));
      const positions = model.encoder.parameters.get("embeddings.position.weight") as Tensor;
      const before = Array.from(positions.toTypedArray() as Float32Array);
      // A step of plain gradient descent shows the gradient.
      const result = await trainEmbedder(still, rows, { loss: config, steps: 1, batchSize: 3, learningRate: 0 });
      expect(result.loss).toBeCloseTo(value, 4);
      expect(Array.from(positions.toTypedArray() as Float32Array)).toEqual(before);
      expect(position_gradient.flat().some((number) => number !== 0)).toBe(true);
      embedder.dispose();
    },
  );
});

describe("a run", () => {
  const dev = stsEvaluator(
    scored.map(({ texts: [first, second], label }) => ({ first, second, score: label as number })),
  );
  test.each(["multiple-negatives", "batch-all-triplet", "softmax"])(
    "of %s that stopped and went on equals one that did not, bit for bit",
    async (loss) => {
      const options = { steps: 7, batchSize: 4, seed: 3 };
      const [whole, first, second] = [create(), create(), create()];
      await train(whole, loss, options);
      const path = join(folder, `resume-${loss}`);
      const stopped = await train(first, loss, { ...options, folder: path, shouldStop: (step) => step === 4 });
      expect(stopped.interrupted).toBe(true);
      const resumed = await train(second, loss, { ...options, folder: path, resume: true });
      expect(resumed.steps).toBe(7);
      expect(values(second)).toEqual(values(whole));
      for (const one of [whole, first, second]) one.dispose();
    },
  );

  test("keeps the weights of the best evaluation on the dev data, and stops when nothing improves", async () => {
    const embedder = create();
    const path = join(folder, "dev");
    const { evaluations, best, steps } = await train(embedder, "cosent", {
      ...{ steps: 40, learningRate: 0.02, dev, evaluateEvery: 2, patience: 4, folder: path },
    });
    const top = Math.max(...evaluations.map(({ value }) => value));
    expect(best?.value).toBe(top);
    expect(await dev.evaluate(embedder)).toEqual(best?.scores);
    expect(steps <= 40 && evaluations.length >= 2).toBe(true);
    expect(existsSync(join(path, "evaluations.jsonl"))).toBe(true);
    expect(existsSync(join(path, "best.safetensors"))).toBe(false);
    embedder.dispose();
  });

  test("in stages, a stage of 0 steps being none", async () => {
    const [once, staged] = [create(), create()];
    const options = { batchSize: 8, learningRate: 1e-2 };
    await trainEmbedder(once, scored, { ...options, loss: "cosine", steps: 3 });
    const results = await trainSentenceEncoder(staged, [
      { ...options, data: pairs, loss: "multiple-negatives", steps: 0 },
      { ...options, data: scored, loss: "cosine", steps: 3 },
    ]);
    expect(results.length).toBe(1);
    expect(values(staged)).toEqual(values(once));
    once.dispose();
    staged.dispose();
  });

  test("a teacher's vectors are the labels of rows that have none", async () => {
    const [student, teacher] = [create(false), create()];
    const rows = sentences.map((text) => ({ texts: [text] }));
    const { loss } = await trainEmbedder(student, rows, {
      loss: "mse",
      teacher,
      steps: 1,
      batchSize: 24,
      learningRate: 0,
    });
    const wanted = teacher.embed(sentences).toTypedArray();
    const own = student.embed(sentences).toTypedArray();
    const squares = Array.from(own, (value, i) => (value - wanted[i]) ** 2);
    expect(loss).toBeCloseTo(squares.reduce((a, b) => a + b, 0) / own.length, 5);
    student.dispose();
    teacher.dispose();
  });

  test("what cannot be learnt from is said", async () => {
    const embedder = create();
    const code = (wanted: string) => expect.objectContaining({ code: wanted });
    const go = (rows: EmbeddingRow[], loss: LossConfig) => trainEmbedder(embedder, rows, { loss, steps: 1 });
    await expect(go([pairs[0]], "mnrl")).rejects.toThrow(code("TRAINING_PAIRS"));
    await expect(go([...pairs, { texts: ["a"] }], "mnrl")).rejects.toThrow(code("TRAINING_ROWS"));
    await expect(go(pairs, "cosent")).rejects.toThrow(code("LABELS_SHAPE"));
    await expect(go([...margins, { ...margins[0], label: [1, 2] }], "margin-mse")).rejects.toThrow(
      code("LABELS_SHAPE"),
    );
    await expect(
      go(
        nli.map((row) => ({ ...row, label: "same" })),
        "softmax",
      ),
    ).rejects.toThrow(code("LABELS_ONE_CLASS"));
    embedder.dispose();
  });
});

describe("batches", () => {
  test("of pairs hold no text twice and leave nothing out that fits", () => {
    const rows = Array.from({ length: 40 }, (_, i) => ({ texts: [`q${i % 9}`, `d${i}`] }));
    const batches = epochPlan("pair", rows, { size: 5, seed: 2, noDuplicates: true })(0);
    for (const batch of batches) {
      const texts = Array.from(batch, (i) => rows[i].texts).flat();
      expect(new Set(texts).size).toBe(texts.length);
      expect(batch.length).toBe(5);
    }
    const used = batches.flatMap((batch) => [...batch]);
    expect(new Set(used).size).toBe(used.length);
    expect(used.length).toBeGreaterThan(30);
  });
  test("of classes hold several texts of each", () => {
    const batches = epochPlan("labelled-text", labelled, { size: 8, seed: 2, noDuplicates: true })(1);
    for (const batch of batches) {
      const classes = Array.from(batch, (i) => labelled[i].label);
      for (const name of new Set(classes)) expect(classes.filter((one) => one === name).length).toBeGreaterThan(1);
    }
  });
});

describe("rows from files", () => {
  const read = async (
    name: string,
    content: string,
    ...[shape, options]: [Parameters<typeof readEmbeddingRows>[1], object?]
  ) => {
    writeFileSync(join(folder, name), content);
    const source = await readEmbeddingRows(join(folder, name), shape, options);
    return { rows: (await collectRows(source)).flat(), guesses: source.guesses };
  };
  test("of every shape, with columns guessed and said", async () => {
    const json = (...rows: object[]) => rows.map((row) => JSON.stringify(row)).join("\n");
    expect(await read("p.jsonl", json({ query: "a", document: "b", negatives: ["c", "d"] }), "pair")).toEqual({
      rows: [{ texts: ["a", "b", "c", "d"] }],
      guesses: ['anchor: column "query"', 'positive: column "document"', 'negative: column "negatives"'],
    });
    const several = json({ anchor: "a", positive: ["b", "c"], negative_1: "d", negative_2: "e" });
    expect((await read("n.jsonl", several, "pair")).rows).toEqual([
      { texts: ["a", "b", "d", "e"] },
      { texts: ["a", "c", "d", "e"] },
    ]);
    expect(
      (await read("s.tsv", "sentence1\tsentence2\trelatedness\tlabel\na\tb\t3.5\tneutral\n", "scored-pair")).rows,
    ).toEqual([{ texts: ["a", "b"], label: 3.5 }]);
    expect((await read("c.tsv", "premise\thypothesis\tlabel\na\tb\tneutral\n", "class-pair")).rows).toEqual([
      { texts: ["a", "b"], label: "neutral" },
    ]);
    expect((await read("b.csv", "question1,question2,is_duplicate\na,b,1\nc,d,0\n", "binary-pair")).rows).toEqual([
      { texts: ["a", "b"], label: 1 },
      { texts: ["c", "d"], label: 0 },
    ]);
    expect((await read("l.csv", "text,label\na,x\n", "labelled-text")).rows).toEqual([{ texts: ["a"], label: "x" }]);
    const margin = json({ query: "a", positive: "b", negative: "c", margin: 1.5 });
    expect((await read("m.jsonl", margin, "margin")).rows).toEqual([{ texts: ["a", "b", "c"], label: [1.5] }]);
    expect((await read("v.jsonl", json({ text: "a", vector: [1, 2] }), "vector")).rows).toEqual([
      { texts: ["a"], label: [1, 2] },
    ]);
    const named = { columns: { anchor: "x", positive: "y" } };
    expect((await read("x.csv", "x,y\na,b\n", "pair", named)).rows).toEqual([{ texts: ["a", "b"] }]);
  });
  test("what is missing or wrong is said", async () => {
    const code = (wanted: string) => expect.objectContaining({ code: wanted });
    await expect(read("e1.csv", "text,label\na,x\n", "scored-pair")).rejects.toThrow(code("DATA_COLUMN_MISSING"));
    await expect(read("e2.csv", "question1,question2,label\na,b,maybe\n", "binary-pair")).rejects.toThrow(
      code("DATA_VALUE"),
    );
    await expect(read("e3.csv", "sentence1,sentence2,score\na,b,high\n", "scored-pair")).rejects.toThrow(
      code("DATA_VALUE"),
    );
  });
});
