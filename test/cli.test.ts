// The built `cloze` command in processes of its own: what it prints, and how it fails.
import { spawn, spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  adjectives,
  buildCommand,
  collect,
  createCommandFolder,
  nouns,
  pretraining,
  type Result,
  root,
  script,
  sentence,
  size,
  training,
} from "./cli-process.js";

const { folder, path, start, cloze, result, failure, remove } = createCommandFolder("cloze-cli-");

beforeAll(async () => {
  buildCommand();
  const pair = (i: number) => ({ query: `a ${adjectives[i % 8]} ${nouns[i % 12]}`, document: sentence(i) });
  writeFileSync(path("pairs.jsonl"), Array.from({ length: 48 }, (_, i) => `${JSON.stringify(pair(i))}\n`).join(""));
  await result("tokenizer", "train", "small.txt", "--out", "tokenizer", "--vocabulary-size", "200");
  await result("pretrain", "small.txt", ...pretraining("model", 4));
  await result("train", "pairs.jsonl", ...training("embedder", 4));
}, 300_000);
afterAll(remove);

describe("from text to vectors", () => {
  test("a tokenizer, and a model of it", async () => {
    expect(existsSync(path("tokenizer/tokenizer.json"))).toBe(true);
    const { tokenizerSize, vocabularySize, hiddenSize, architecture, machine } = await result("info", "model");
    expect({ vocabularySize, hiddenSize, architecture }).toEqual({
      vocabularySize: tokenizerSize,
      hiddenSize: 128,
      architecture: "ForMaskedLM",
    });
    expect(machine.node).toBe(process.version);
    const records = readFileSync(path("model/log.jsonl"), "utf8").trimEnd().split("\n");
    expect(records.map((line) => JSON.parse(line).step)).toEqual([1, 2, 3, 4]);
    expect(readFileSync(path("model/loss.svg"), "utf8")).toContain("<svg");
  });

  test("fill-mask", async () => {
    const [first, second] = await result(
      ...["fill-mask", "--model", "model", "--top", "3", "the [MASK] cat", "[MASK] and [MASK]"],
    );
    expect(first.masks.map((mask: unknown[]) => mask.length)).toEqual([3]);
    expect(second.masks).toHaveLength(2);
    const [best, next] = first.masks[0];
    expect(best.probability).toBeGreaterThanOrEqual(next.probability);
  });

  test("embed: arguments, a file, standard input, JSON lines", async () => {
    const [first, second] = await result("embed", "--model", "embedder", "a cat", "a dog");
    expect(first.vector).toHaveLength(128);
    expect(first.vector.reduce((sum: number, x: number) => sum + x * x, 0)).toBeCloseTo(1, 4);
    writeFileSync(path("lines.txt"), "a cat\na dog\n");
    expect(await result("embed", "--model", "embedder", "--input", "lines.txt")).toEqual([first, second]);
    const child = start(["embed", "--model", "embedder", "--input", "-", "--json"], { stdio: "pipe" });
    child.stdin?.end("a cat\na dog");
    expect(JSON.parse((await collect(child)).stdout)).toEqual([first, second]);
    const told = await result("embed", "--model", "embedder", "--input", "lines.txt", "--out", "vectors.jsonl");
    expect(told).toMatchObject({ texts: 2, vectors: 2, width: 128, out: "vectors.jsonl" });
    const rows = readFileSync(path("vectors.jsonl"), "utf8").trimEnd().split("\n");
    expect(rows.map((row) => JSON.parse(row))).toEqual([first, second]);
  });

  test("a run that has ended has nothing left to do", async () => {
    const { stdout, status } = await cloze("pretrain", "small.txt", ...pretraining("model", 4), "--resume", "--quiet");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Done at step 4, nothing left to do/);
  });

  test("a model goes on in another domain: new pieces, adapters, averages, layers that run again", async () => {
    const words = ["doorstone", "greenhouse", "riverstone"];
    const text = (i: number) => `the ${words[i % 3]} ${words[(i >> 1) % 3]} near the ${nouns[i % 12]}`;
    writeFileSync(path("domain.txt"), Array.from({ length: 60 }, (_, i) => `${text(i)}\n`).join(""));
    const how = ["--steps", "4", "--max-length", "32", "--batch-tokens", "128", "--quiet"];
    const more = ["--extend-vocabulary", "5", "--lora", "2", "--average", "0.9", "--recompute"];
    await result("pretrain", "domain.txt", "--model", "model", "--out", "further", ...how, ...more);
    const read = (name: string) => JSON.parse(readFileSync(path(name), "utf8"));
    const { vocab } = read("further/tokenizer.json").model;
    expect(Object.keys(vocab)).toEqual(expect.arrayContaining(words));
    expect(read("further/config.json")).toMatchObject({
      model_type: "bert",
      vocab_size: Object.keys(vocab).length,
    });
    const first = ["pretrain", "domain.txt", "--tokenizer", "tokenizer", "--out", "never", ...how];
    expect(await failure(...first, "--extend-vocabulary", "5")).toBe("OPTION_CONFLICT");
    const unknown = ["--model", "model", "--out", "never", ...how, "--lora", "2", "--lora-targets", "telepathy"];
    expect(await failure("pretrain", "domain.txt", ...unknown)).toBe("LORA_TARGETS");
  });

  test("texts that are no texts: NUL, lone surrogates, broken UTF-8, a megabyte without a space", async () => {
    const long = "x".repeat(1_000_000);
    const bytes = Buffer.from([0x61, 0, 0xed, 0xa0, 0x80, 0xff, 0x0a]);
    writeFileSync(path("odd.txt"), Buffer.concat([bytes, Buffer.from(`${long}\nthe cat sees the dog\n`)]));
    for (const type of ["wordpiece", "bpe", "unigram"]) {
      await result(
        ...["tokenizer", "train", "odd.txt", "--type", type, "--out", `odd-${type}`, "--vocabulary-size", "300"],
      );
    }
    const few = ["--size", "tiny", "--max-length", "16", "--batch-tokens", "64", "--steps", "1"];
    const { loss } = await result("pretrain", "odd.txt", "--tokenizer", "odd-bpe", ...few, "--out", "odd-model");
    expect(loss).toBeGreaterThan(0);
    const surrogates = Array.from(
      { length: 8 },
      (_, i) => `{"query":"a \\ud800 cat ${i}","document":"\\udc00 \\u0000"}`,
    );
    writeFileSync(path("odd.jsonl"), surrogates.join("\n"));
    await result("train", "odd.jsonl", ...training("odd-embedder", 1));
    const vectors = await result("embed", "--model", "embedder", "--input", "odd.txt");
    for (const { vector } of vectors) expect(vector.every(Number.isFinite)).toBe(true);
  });
});

describe("usage", () => {
  const commands = [[], ["tokenizer"], ["tokenizer", "train"], ["pretrain"], ["train"], ["embed"], ["fill-mask"]];
  test.each([...commands, ["info"], ["demo"]])("--help of cloze %s %s", async (...words) => {
    const { status, stdout, stderr } = await cloze(...words, "--help");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain(`Usage: ${["cloze", ...words].join(" ")}`);
  });

  test("--version", async () => {
    const { version } = JSON.parse(readFileSync(join(root, "packages/cloze/package.json"), "utf8"));
    expect(await cloze("--version")).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
  });

  test.each([
    ["an unknown command", ["nonsense"]],
    ["an unknown option", ["info", "--nonsense"]],
    ["a missing option", ["embed", "text"]],
    ["a missing argument", ["pretrain", "--out", "x", "--steps", "1"]],
    ["no number", ["pretrain", "small.txt", "--out", "x", "--steps", "many"]],
    ["a number out of range", ["pretrain", "small.txt", "--out", "x", "--steps", "1", "--masking-rate", "1.5"]],
    ["no such choice", ["pretrain", "small.txt", "--out", "x", "--steps", "1", "--size", "gigantic"]],
    ["no such role", ["embed", "--model", "embedder", "--role", "other", "text"]],
    ["no such type", ["tokenizer", "train", "small.txt", "--out", "x", "--type", "other"]],
  ])("%s ends with status 2", async (_, words) => {
    const { status, stdout, stderr } = await cloze(...words, "--json");
    expect(status).toBe(2);
    expect(JSON.parse(stdout).error).toMatchObject({ code: "USAGE", message: expect.not.stringMatching(/^error/) });
    expect(stderr).toContain("--help");
  });
});

describe("bad inputs", () => {
  const copyOf = (model: string, name: string): string => {
    rmSync(path(name), { recursive: true, force: true });
    cpSync(path(model), path(name), { recursive: true });
    return path(name);
  };

  test("corpora", async () => {
    writeFileSync(path("empty.txt"), "");
    writeFileSync(path("blank.txt"), "\n \n\t\n");
    mkdirSync(path("no-texts"), { recursive: true });
    const train = (file: string) => failure("tokenizer", "train", file, "--out", "never");
    expect(await train("missing.txt")).toBe("CORPUS_FILE_MISSING");
    expect(await train("empty.txt")).toBe("CORPUS_EMPTY");
    expect(await train("blank.txt")).toBe("CORPUS_EMPTY");
    expect(await train("no-texts")).toBe("CORPUS_EMPTY");
    expect(await failure("pretrain", "missing.txt", ...pretraining("never", 1))).toBe("CORPUS_FILE_MISSING");
    expect(await failure("pretrain", "blank.txt", ...pretraining("never", 1))).toBe("CORPUS_EMPTY");
    expect(await failure("train", "small.txt", ...training("never", 1))).toBe("TRAINING_PAIRS");
    expect(await failure("embed", "--model", "embedder", "--input", "missing.txt")).toBe("ENOENT");
    expect(await failure("embed", "--model", "embedder", "--input", "no-texts")).toBe("EISDIR");
    expect(await failure("embed", "--model", "embedder", "--input", "empty.txt")).toBe("NO_TEXT");
    expect(await failure("embed", "--model", "embedder")).toBe("NO_TEXT");
    expect(await failure("demo", "--text", "empty.txt", "--no-serve")).toBe("CORPUS_EMPTY");
    expect(await failure("demo", "--text", "lines.txt", "--no-serve")).toBe("OWN_TEXT_SHORT");
  });

  test("places to write to", async () => {
    expect(await failure("tokenizer", "train", "small.txt", "--out", "small.txt")).toBe("EEXIST");
    expect(await failure("pretrain", "small.txt", ...pretraining("small.txt/model", 1))).toBe("ENOTDIR");
    expect(await failure("embed", "--model", "embedder", "text", "--out", "no/such/folder.jsonl")).toBe("FILE_WRITE");
  });

  test("models", async () => {
    const info = (name: string) => failure("info", name);
    expect(await info("no-such-folder")).toBe("MODEL_NOT_FOUND");
    expect(await info("small.txt")).toBe("CONFIG_MISSING");
    const broken = copyOf("model", "broken");
    const weights = join(broken, "model.safetensors");
    for (const bytes of [statSync(weights).size - 1, 1000, 4, 0]) {
      truncateSync(weights, bytes);
      expect(await info("broken")).toBe("SAFETENSORS_TRUNCATED");
    }
    writeFileSync(weights, "this is some text that is no weights at all");
    expect(await info("broken")).toMatch(/^SAFETENSORS_/);
    rmSync(weights);
    expect(await info("broken")).toBe("FILE_NOT_FOUND");
    copyFileSync(path("model/model.safetensors"), weights);
    const config = join(broken, "config.json");
    const whole = JSON.parse(readFileSync(config, "utf8"));
    for (const [text, code] of [
      ["{", "CONFIG_INVALID"],
      ["[]", "CONFIG_INVALID"],
      [JSON.stringify({ ...whole, hidden_size: -1 }), "CONFIG_INVALID"],
      [JSON.stringify({ ...whole, hidden_size: 192 }), "WEIGHT_SHAPE"],
      [JSON.stringify({ ...whole, num_hidden_layers: 3 }), "WEIGHT_MISSING"],
      [JSON.stringify({ ...whole, model_type: "unheard-of" }), "MODEL_TYPE_UNKNOWN"],
    ]) {
      writeFileSync(config, text);
      expect(await info("broken"), text).toBe(code);
    }
  });

  test("tokenizers", async () => {
    const broken = copyOf("embedder", "misfit");
    const embed = () => failure("embed", "--model", "misfit", "text");
    writeFileSync(join(broken, "tokenizer.json"), "{}");
    expect(await embed()).toBe("TOKENIZER_INVALID_FIELD");
    writeFileSync(join(broken, "tokenizer.json"), "no JSON");
    expect(await embed()).toBe("TOKENIZER_INVALID_JSON");
    rmSync(join(broken, "tokenizer.json"));
    expect(await embed()).toBe("TOKENIZER_FILE_MISSING");
    await result("tokenizer", "train", "small.txt", "--type", "bpe", "--vocabulary-size", "320", "--out", "larger");
    copyFileSync(path("larger/tokenizer.json"), join(broken, "tokenizer.json"));
    expect(await embed()).toBe("EMBEDDER_VOCABULARY");
    const going = ["--model", "model", "--tokenizer", "larger", "--out", "never", "--steps", "1"];
    expect(await failure("pretrain", "small.txt", ...going)).toBe("EMBEDDER_VOCABULARY");
    const none = ["--size", "tiny", "--out", "never", "--steps", "1"];
    expect(await failure("pretrain", "small.txt", ...none)).toBe("TOKENIZER_FILE_MISSING");
    expect(await failure("train", "pairs.jsonl", ...none)).toBe("TOKENIZER_FILE_MISSING");
  });

  test("what a model cannot do", async () => {
    expect(await failure("fill-mask", "--model", "model", "no mask here")).toBe("NO_MASK");
    expect(await failure("fill-mask", "--model", "embedder", "a [MASK]")).toBe("HEAD_MISMATCH");
    expect(await failure("pretrain", "small.txt", ...size, "--out", "never")).toBe("TRAINING_LENGTH");
  });

  test("nothing of what failed was left behind", () => {
    expect(existsSync(path("never")) ? readdirSync(path("never")) : []).toEqual([]);
  });

  test.skipIf(process.platform === "win32")("files that cannot grow: what was there stays", async () => {
    const before = readFileSync(path("model/model.safetensors"));
    // A limit of 64 KB on the size of a file stands for a disk that is full.
    const limited = (args: string[]): Promise<Result> =>
      collect(
        spawn("bash", ["-c", 'ulimit -f 64; exec "$0" "$@"', process.execPath, script, ...args], { cwd: folder }),
      );
    const { status, stderr } = await limited(["pretrain", "small.txt", ...pretraining("model", 6), "--resume"]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/error \[CHECKPOINT_WRITE\]: .*intact/);
    expect(readFileSync(path("model/model.safetensors")).equals(before)).toBe(true);
    expect(readdirSync(path("model")).filter((name) => name.startsWith("."))).toEqual([]);
    const { steps } = await result("pretrain", "small.txt", ...pretraining("model", 6), "--resume");
    expect(steps).toBe(6);
  });

  test.skipIf(!existsSync("/dev/full"))("standard output on a full disk, or closed", async () => {
    const to = (target: string, ...args: string[]) =>
      collect(spawn("bash", ["-c", `"$0" "$@" ${target}`, process.execPath, script, ...args], { cwd: folder }));
    expect(await to("> /dev/full", "info", "model")).toMatchObject({ status: 1, stderr: /error \[ENOSPC\]/ });
    writeFileSync(path("many.txt"), "a cat\n".repeat(2000));
    const cut = await to(
      "| head -c 1; exit $PIPESTATUS",
      "embed",
      "--model",
      "embedder",
      "--input",
      "many.txt",
      "--quiet",
    );
    expect(cut).toMatchObject({ status: 0, stderr: "" });
  });
});

test("npm's way in builds, passes arguments on, and ends as the command does", () => {
  const program = (...args: string[]) =>
    spawnSync(process.execPath, [join(root, "scripts/run.mjs"), ...args], { cwd: folder, encoding: "utf8" });
  expect(program("cloze", "info", "--json")).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\{/) });
  expect(program("cloze", "nonsense").status).toBe(2);
  expect(program("nonsense").status).toBe(2);
});
