// What tests of downloads share: a fake hub with repositories of every kind, an empty cache, and looks into both.
import { randomBytes } from "node:crypto";
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, vi } from "vitest";
import { type PullOptions, pullModel } from "../src/data/hub/pull.js";
import { type FakeHub, type FakeRepository, startFakeHub } from "./fake-hub.js";

export const weights = randomBytes(400_000);
export const text = (value: string) => Buffer.from(value);
export const repositories: Record<string, FakeRepository> = {
  "org/model": {
    files: {
      ".gitattributes": text("*.bin filter=lfs"),
      "README.md": text("# A model"),
      "config.json": text('{"model_type":"bert"}'),
      "model.safetensors": weights,
      "pytorch_model.bin": randomBytes(50),
      "tokenizer.json": text("{}"),
      "vocab.txt": text("[PAD]\n"),
      "onnx/model.onnx": randomBytes(50),
      "empty/vocab.txt": text(""),
    },
    revisions: ["main", "refs/pr/3"],
  },
  "org/sentences": {
    files: {
      "modules.json": text('[{"path":"","type":"st.Transformer"},{"path":"1_Pooling","type":"st.Pooling"}]'),
      "config.json": text("{}"),
      "model.safetensors": weights,
      "1_Pooling/config.json": text('{"pooling_mode_mean_tokens":true}'),
      "other/config.json": text("{}"),
    },
  },
  "org/pickle": { files: { "config.json": text("{}"), "pytorch_model.bin": randomBytes(50) } },
  "org/data": { files: { "train/a b#1.jsonl": text("{}\n"), "empty.txt": text("") }, dataset: true },
  gpt9: { files: { "config.json": text("{}"), "model.safetensors": weights } },
};

/** The hub and the cache of the test that runs. */
export const at = {} as { hub: FakeHub; cacheFolder: string };

/** A fake hub and an empty cache for each test of the file, in an environment that says nothing else. */
export function useFakeHub(): void {
  beforeEach(async () => {
    at.hub = await startFakeHub(repositories);
    at.cacheFolder = mkdtempSync(join(tmpdir(), "cloze-hub-"));
    for (const name of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT"])
      vi.stubEnv(name, "");
    for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"])
      for (const one of [name, name.toLowerCase()]) vi.stubEnv(one, "");
    vi.stubEnv("HF_HOME", at.cacheFolder);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    await at.hub.close();
    rmSync(at.cacheFolder, { recursive: true, force: true });
  });
}

export const pull = (id: string, options: PullOptions = {}) =>
  pullModel(id, {
    endpoint: at.hub.url,
    cacheFolder: at.cacheFolder,
    ...options,
    patience: { delay: 5, ...options.patience },
  });
export const failure = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (reason: Error & { code?: string }) => reason,
  );
  expect(error).toBeDefined();
  return error!;
};
export const blobs = (name: string) => join(at.cacheFolder, `models--${name.replace("/", "--")}`, "blobs");
export const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => !lstatSync(join(folder, name)).isDirectory())
    .sort();
/** Whether the weights are right; comparing them by toEqual takes seconds. */
export const hasWeights = (folder: string): boolean => readFileSync(join(folder, "model.safetensors")).equals(weights);
export const contentRequests = () => at.hub.requests.filter(({ path }) => path.startsWith("/cdn/"));
