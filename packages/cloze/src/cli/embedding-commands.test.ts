import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { code, createEmbeddingFiles, model, moduleFolder } from "../../test/embedding-files.js";
import { runCommand } from "../../test/run-command.js";
import { extendWithExperts } from "../embedding/extend-experts.js";
import { loadEmbedder, saveEmbedder } from "../embedding/sentence-transformers.js";
import { readNpy } from "../embedding/vectors/index.js";
import { trainWordPiece } from "../text/index.js";
import { addEmbed } from "./embed.js";
import { addEvaluateEmbedding } from "./evaluate-embedding.js";
import { addEvaluateSts } from "./evaluate-sts.js";
import { addMine } from "./mine.js";
import { addPretrain } from "./pretrain.js";
import { addTrain } from "./train.js";

const { path, write, remove } = createEmbeddingFiles();
afterAll(remove);
afterEach(() => vi.restoreAllMocks());

const embed = (...args: string[]) => runCommand(addEmbed, "embed", "--model", model, ...args);
describe("cloze embed", () => {
  test("--field takes the expert of that field; there is none in a model without fields", async () => {
    const extended = extendWithExperts(loadEmbedder(model), { fields: ["[A]", "[B]"] });
    saveEmbedder(extended, path("experts"));
    const [row] = (await runCommand(addEmbed, "embed", "--model", path("experts"), "a cat", "--field", "[B]")) as {
      vector: number[];
    }[];
    const expected = extended.embed(["a cat"], { field: "[B]" }).toTypedArray();
    row.vector.forEach((value, c) => {
      expect(value).toBeCloseTo(Number(expected[c]), 5);
    });
    extended.dispose();
    await expect(embed("a cat", "--field", "[B]")).rejects.toThrow(code("FIELD_UNKNOWN"));
  });
  test("texts of a packed file, of UTF-16, and behind a byte-order mark; empty ones are counted", async () => {
    const lines = "a small cat\n\nthe moon\n";
    writeFileSync(path("plain.txt"), lines);
    writeFileSync(path("packed.txt.gz"), gzipSync(lines));
    writeFileSync(path("wide.txt"), Buffer.from(`\ufeff${lines}`, "utf16le"));
    writeFileSync(path("marked.txt"), `\ufeff${lines}`);
    const rows = await embed("--input", path("plain.txt"));
    for (const name of ["packed.txt.gz", "wide.txt", "marked.txt"]) {
      const result = await embed("--input", path(name));
      expect(result, name).toEqual(rows);
    }
    expect(await embed("--input", path("plain.txt"), "--out", path("plain.npy"))).toMatchObject({
      vectors: 3,
      counts: { emptyTexts: 1 },
    });
    writeFileSync(path("cut.gz"), gzipSync(lines).subarray(0, 20));
    await expect(embed("--input", path("cut.gz"))).rejects.toThrow(code("DATA_COMPRESSION"));
  });
  test("a model with NaN in its weights is refused wherever it embeds", async () => {
    cpSync(model, path("broken"), { recursive: true });
    const weights = readFileSync(join(model, "model.safetensors"));
    // Behind the header, each float32 becomes NaN.
    for (let at = 8 + Number(weights.readBigUInt64LE(0)); at < weights.length; at += 4)
      weights.writeFloatLE(Number.NaN, at);
    writeFileSync(join(path("broken"), "model.safetensors"), weights);
    const of = ["--model", path("broken")];
    for (const command of [
      runCommand(addEmbed, "embed", "a cat", ...of),
      runCommand(addMine, "mine", "duplicates", path("texts.txt"), ...of, "--out", path("x")),
      runCommand(addEvaluateSts, "sts", ...of, "--data", path("sts.tsv")),
    ])
      await expect(command).rejects.toThrow(code("EMBEDDER_NOT_FINITE"));
  });
  test("what is cut is counted: in training, and where negatives are searched", async () => {
    const long = "cat ".repeat(5000);
    write("long.jsonl", [
      { query: "a cat", document: long },
      { query: "a dog", document: "the dog" },
    ]);
    const of = ["--model", model, "--out"];
    const trained = await runCommand(addTrain, "train", path("long.jsonl"), ...of, path("long-model"), "--steps", "1");
    expect(trained).toMatchObject({ texts: { texts: 4, truncatedTexts: 1, droppedTokens: expect.any(Number) } });
    const mined = await runCommand(addMine, "mine", "negatives", path("long.jsonl"), ...of, path("long-mined.jsonl"));
    expect(mined).toMatchObject({ truncatedTexts: 1 });
    // A line is a text, however long.
    write("long.txt", ["the moon ".repeat(200_000), "a dog"]);
    expect(await runCommand(addMine, "mine", "duplicates", path("long.txt"), ...of, path("kept.txt"))).toMatchObject({
      texts: 2,
    });
  });
  test("a matrix, in 8 bits with ranges from elsewhere, and the first numbers only", async () => {
    await embed("--input", path("texts.txt"), "--out", path("all.npy"));
    const { data, shape } = readNpy(path("all.npy"));
    expect(shape).toEqual([6, 16]);
    const list = ["--input", path("texts.txt"), "--dimensions", "8", "--precision", "int8"];
    const told = (await embed(...list, "--calibration", path("all.npy"), "--out", path("c.npy"))) as object;
    expect(told).toMatchObject({ texts: 6, vectors: 6, width: 8, precision: "int8", counts: { truncatedTexts: 0 } });
    expect(readNpy(path("c.npy")).data).toBeInstanceOf(Int8Array);
    const { least, largest } = JSON.parse(readFileSync(path("c.npy.ranges.json"), "utf8"));
    expect([least.length, largest.length]).toEqual([8, 8]);
    const [row] = (await embed("a small cat", "--dimensions", "8")) as { vector: number[] }[];
    const cut = Array.from(data.subarray(0, 8));
    row.vector.forEach((value, c) => {
      expect(value).toBeCloseTo(cut[c] / Math.hypot(...cut), 5);
    });
    const bits = (await embed("a small cat", "--precision", "ubinary")) as { vector: number[] }[];
    expect(bits[0].vector[0] >> 7).toBe(Number(data[0] > 0));
    await expect(embed("x", "--dimensions", "17")).rejects.toThrow(code("INVALID_OPTION"));
    await expect(embed("x", "--prompt-name", "none")).rejects.toThrow(code("PROMPT_UNKNOWN"));
  });
  test("long texts in chunks, with their places", async () => {
    const long = Array.from({ length: 9 }, () => "the moon is far").join(" ");
    const rows = (await embed(long, "--long", "chunk")) as { start: number; end: number; text: string }[];
    expect(rows.length).toBeGreaterThan(2);
    for (const { start, end, text } of rows) expect(text).toBe(long.slice(start, end));
    const told = (await embed(long, "--long", "late-chunk", "--chunk-tokens", "4", "--out", path("late.npy"))) as {
      vectors: number;
    };
    expect(readNpy(path("late.npy")).shape[0]).toBe(told.vectors);
    expect(readFileSync(path("late.npy.chunks.jsonl"), "utf8").trim().split("\n").length).toBe(told.vectors);
  });
});

describe("cloze train", () => {
  const train = (file: string, out: string, ...args: string[]) =>
    runCommand(addTrain, "train", path(file), "--model", model, "--out", path(out), "--batch-size", "4", ...args);
  test("any loss with its options; the best weights on dev pairs", async () => {
    const some = [
      "--loss",
      "cosent",
      "--set",
      "scale=10",
      "--steps",
      "4",
      "--dev",
      path("sts.tsv"),
      "--evaluate-every",
      "2",
    ];
    const told = (await train("sts.tsv", "cosent", ...some)) as { evaluations: object[]; best: object; steps: number };
    expect(told.steps).toBe(4);
    expect(told.evaluations.length).toBe(2);
    expect(told.best).toBeDefined();
    expect(existsSync(path("cosent/modules.json"))).toBe(true);
    const two = ["--loss", "matryoshka2d", "--set", "dims=[16,8]", "--epochs", "1", "--pooling", "cls"];
    await train("pairs.jsonl", "2d", ...two);
    const pooling = JSON.parse(readFileSync(path("2d/1_Pooling/config.json"), "utf8"));
    expect(pooling.pooling_mode_cls_token).toBe(true);
    await train("labelled.csv", "classes", "--loss", "batch-hard-triplet", "--steps", "1");
    await train("labelled.csv", "taught", "--loss", "mse", "--teacher", model, "--column", "label=", "--steps", "1");
  });
  test("long documents: pre-trained with blocks hidden, trained to match, compared as files", async () => {
    const words = ["moon", "star", "cat", "dog"];
    const document = (i: number, count = 9) =>
      Array.from(
        { length: count },
        (_, s) => `The ${words[i % 4]} ${s % 2 ? "ran after" : "is far from"} a ball.`,
      ).join(" ");
    write(
      "documents.jsonl",
      Array.from({ length: 8 }, (_, i) => ({ text: `${document(i)}\n\n${document(i)}` })),
    );
    trainWordPiece([document(0), document(1), document(2), document(3)], { vocabularySize: 60, minFrequency: 1 }).save(
      path("words"),
    );
    const fresh = ["--tokenizer", path("words"), "--size", "tiny"];
    const pretrained = ["--objective", "smith", "--set", "maxBlocks=4", "--set", 'document={"layers":1,"heads":2}'];
    await runCommand(
      addPretrain,
      ...["pretrain", path("documents.jsonl"), ...fresh, "--out", path("smith"), "--steps", "2"],
      ...[...pretrained, "--set", "block=16", "--batch-tokens", "400", "--max-length", "16"],
    );
    const pairs = Array.from(
      { length: 12 },
      (_, i) => `${document(i)}\t${document(i % 2 ? i + 1 : i + 4)}\t${(i + 1) % 2}`,
    );
    write("matching.tsv", ["sentence1\tsentence2\tlabel", ...pairs]);
    const matching = ["--loss", "pair-matching", "--steps", "2", "--batch-size", "4"];
    await runCommand(
      addTrain,
      ...["train", path("matching.tsv"), "--model", path("smith"), "--out", path("matched"), ...matching],
    );
    const files = [0, 1, 4].map((i) => {
      writeFileSync(path(`${i}.txt`), `${document(i)}\n`);
      return path(`${i}.txt`);
    });
    const compared = (await runCommand(
      addEmbed,
      ...["embed", "--model", path("matched"), "--files", "--similarity", ...files],
    )) as { first: string; second: string; cosine: number }[];
    expect(compared.map(({ first, second }) => [first, second])).toEqual([
      [files[0], files[1]],
      [files[0], files[2]],
      [files[1], files[2]],
    ]);
    // The first and the last file hold the same text.
    expect(compared[1].cosine).toBeCloseTo(1, 5);
    expect(Math.abs(compared[0].cosine)).toBeLessThan(0.99999);
    await runCommand(
      addTrain,
      ...["train", path("matching.tsv"), ...fresh, "--out", path("fresh"), ...matching],
      ...["--document-layers", "1", "--max-length", "64"],
    );
    const { block, maxBlocks } = JSON.parse(readFileSync(path("fresh/1_DocumentLevel/config.json"), "utf8"));
    expect(block * maxBlocks).toBe(64);
    await expect(
      runCommand(
        addTrain,
        "train",
        path("matching.tsv"),
        "--model",
        path("fresh"),
        "--out",
        path("no"),
        ...matching,
        "--document-layers",
        "2",
      ),
    ).rejects.toThrow(code("OPTION_CONFLICT"));
    await expect(
      runCommand(addEmbed, "embed", "--model", path("matched"), "--long", "chunk", document(0)),
    ).rejects.toThrow(code("INVALID_OPTION"));
  });
  test("what does not fit is said", async () => {
    await expect(train("sts.tsv", "no", "--loss", "triplet", "--steps", "1")).rejects.toThrow(
      code("DATA_COLUMN_MISSING"),
    );
    await expect(train("sts.tsv", "no", "--loss", "cosent", "--set", "scale=x", "--steps", "1")).rejects.toThrow(
      code("LOSS_OPTIONS"),
    );
    await expect(train("pairs.jsonl", "no", "--loss", "gist", "--steps", "1")).rejects.toThrow(code("LOSS_GUIDE"));
    await expect(train("pairs.jsonl", "no")).rejects.toThrow(code("TRAINING_LENGTH"));
    for (const [name, ...more] of [
      ["bag-of-words", "--pooling", "cls"],
      ["bag-of-words", "--document-layers", "1"],
      ["word-lstm", "--document-layers", "1"],
    ]) {
      const from = ["train", path("pairs.jsonl"), "--model", moduleFolder(name), "--out", path("no"), "--steps", "1"];
      await expect(runCommand(addTrain, ...from, ...more)).rejects.toThrow(code("OPTION_CONFLICT"));
    }
  });
});

describe("cloze evaluate embedding", () => {
  const evaluate = (...args: string[]) => runCommand(addEvaluateEmbedding, "embedding", "--model", model, ...args);
  test("one table over data and poolings", async () => {
    const probe = `${path("labelled.csv")},${path("labelled.csv")}`;
    const data = ["--sts", path("sts.tsv"), "--classify", probe, "--k", "1", "--cluster", path("labelled.csv")];
    const { results } = (await evaluate("--pool", "mean,cls", ...data, "--rerank", path("pairs.jsonl"))) as {
      results: { pooling: string; task: string; scores: Record<string, number> }[];
    };
    expect(results.map(({ pooling, task }) => `${pooling} ${task}`)).toEqual(
      ["mean", "cls"].flatMap((pooling) =>
        ["sts", "classification", "clustering", "reranking"].map((task) => `${pooling} ${task}`),
      ),
    );
    // Every text is its own nearest neighbour.
    for (const { task, scores } of results) if (task === "classification") expect(scores.accuracy).toBe(1);
    await expect(evaluate()).rejects.toThrow(code("USAGE_DATA"));
  });
  test("modules before the pooling stay when it is another; counts of words have no pooling, nor have routes and modules another", async () => {
    const of = (name: string, ...more: string[]): Promise<{ results: object[] }> =>
      runCommand(addEvaluateEmbedding, "embedding", "--model", moduleFolder(name), "--sts", path("sts.tsv"), ...more);
    const { results: own } = await of("bert-cnn");
    expect((await of("bert-cnn", "--pool", "mean")).results).toEqual(own);
    await expect(of("bag-of-words", "--pool", "mean,cls")).rejects.toThrow(code("OPTION_CONFLICT"));
    for (const name of ["word-weights", "router"])
      await expect(of(name, "--pool", "mean")).rejects.toThrow(code("OPTION_CONFLICT"));
    await expect(of("bag-of-words")).resolves.toMatchObject({ results: [{ task: "sts" }] });
  });
});
