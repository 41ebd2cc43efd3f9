import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { chooseFiles, globPattern } from "./files.js";
import { hubSettings } from "./settings.js";

test("the environment's names, the most particular first", () => {
  const cache = (environment: Record<string, string>) => hubSettings({}, environment).cacheFolder;
  expect(cache({})).toBe(join(homedir(), ".cache/huggingface/hub"));
  expect(cache({ XDG_CACHE_HOME: "/x" })).toBe("/x/huggingface/hub");
  expect(cache({ XDG_CACHE_HOME: "/x", HF_HOME: "/h" })).toBe("/h/hub");
  expect(cache({ HF_HOME: "~/h" })).toBe(join(homedir(), "h/hub"));
  expect(cache({ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/old" })).toBe("/old");
  expect(cache({ HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "/c" })).toBe("/c");
  expect(hubSettings({ cacheFolder: "/mine" }, { HF_HUB_CACHE: "/c" }).cacheFolder).toBe("/mine");
  expect(hubSettings({}, {}).endpoint).toBe("https://huggingface.co");
  expect(hubSettings({}, { HF_ENDPOINT: "https://mirror/hub/" }).endpoint).toBe("https://mirror/hub");
  expect(hubSettings({}, { HF_TOKEN: " hf_1\n" }).token).toBe("hf_1");
  expect(hubSettings({}, { HF_TOKEN: "", HF_HOME: "/nowhere" }).token).toBeUndefined();
  const offline = (value: string) => hubSettings({}, { HF_HUB_OFFLINE: value }).offline;
  expect(["1", "true", "YES", "on", "0", "false", ""].map(offline)).toEqual([
    true,
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
  expect(hubSettings({ offline: false }, { HF_HUB_OFFLINE: "1" }).offline).toBe(false);
});

test.each([
  ["*.json", ["a.json", "folder/a.json"], ["a.jsonl", "json"]],
  ["onnx/", ["onnx/a", "onnx/b/c"], ["onnx", "xonnx/a"]],
  ["model-?.bin", ["model-1.bin"], ["model-12.bin", "model-1xbin"]],
  ["[ab]*.txt", ["a1.txt", "b.txt"], ["c.txt"]],
  ["[!ab].txt", ["c.txt"], ["a.txt"]],
  ["a+(b).{c}|^$", ["a+(b).{c}|^$"], ["a"]],
  ["[", ["["], ["]"]],
])("the glob %s", (glob, fits, others) => {
  expect(fits.filter((name) => globPattern(glob).test(name))).toEqual(fits);
  expect(others.filter((name) => globPattern(glob).test(name))).toEqual([]);
});

describe("the choice of files", () => {
  const choose = (...paths: string[]) =>
    chooseFiles(
      "org/name",
      paths.map((path) => ({ path, size: 1, hash: "" })),
    ).map(({ path }) => path);

  test("shards, tokenizers of every kind, and nothing of other programs", () => {
    const wanted = [
      "config.json",
      "model-00001-of-00002.safetensors",
      "model.safetensors.index.json",
      "merges.txt",
      "vocab.json",
      "added_tokens.json",
      "sentencepiece.bpe.model",
      "config_sentence_transformers.json",
      "sentence_bert_config.json",
      "README.md",
    ];
    const others = [
      "pytorch_model.bin",
      "tf_model.h5",
      "rust_model.ot",
      "data_config.json",
      "checkpoint-5/model.safetensors",
    ];
    expect(choose(...wanted, ...others)).toEqual(wanted);
  });
  test("modules with pickles only are refused, training leftovers are not weights", () => {
    const model = ["modules.json", "config.json", "model.safetensors"];
    expect(() => choose(...model, "2_Dense/config.json", "2_Dense/pytorch_model.bin")).toThrow(
      "2_Dense/pytorch_model.bin",
    );
    expect(choose(...model, "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin")).toHaveLength(4);
    expect(choose("config.json", "training_args.bin", "tokenizer.json")).toEqual(["config.json", "tokenizer.json"]);
    expect(() => choose("config.json", "model.Q4.gguf")).toThrow("received model.Q4.gguf");
  });
});
