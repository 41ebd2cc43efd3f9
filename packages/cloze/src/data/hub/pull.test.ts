import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { commitOf, gitHash, sha256, startFakeProxy } from "../../../test/fake-hub.js";
import {
  at,
  blobs,
  contentRequests,
  failure,
  filesOf,
  hasWeights,
  pull,
  text,
  useFakeHub,
  weights,
} from "../../../test/pulling.js";
import type { PullProgress } from "./pull.js";

useFakeHub();

describe("the cache", () => {
  test("blobs by hash, links in the snapshot, the revision last", async () => {
    const events: PullProgress[] = [];
    const folder = await pull("org/model", { progress: (event) => events.push(event) });
    expect(folder).toBe(join(at.cacheFolder, "models--org--model/snapshots", commitOf("org/model")));
    expect(filesOf(folder)).toEqual(["README.md", "config.json", "model.safetensors", "tokenizer.json", "vocab.txt"]);
    expect(hasWeights(folder)).toBe(true);
    expect(readlinkSync(join(folder, "model.safetensors"))).toBe(`../../blobs/${sha256(weights)}`);
    expect(readlinkSync(join(folder, "vocab.txt"))).toBe(`../../blobs/${gitHash(text("[PAD]\n"))}`);
    expect(readFileSync(join(at.cacheFolder, "models--org--model/refs/main"), "utf8")).toBe(commitOf("org/model"));
    expect(readdirSync(blobs("org/model"))).toHaveLength(5);
    const last = events[events.length - 1];
    expect(last).toMatchObject({ bytes: last.totalBytes, received: last.totalBytes, filesDone: 5, files: 5 });
    expect(events.every(({ bytes }, i) => i === 0 || bytes >= events[i - 1].bytes)).toBe(true);
  });

  test("what is there is not downloaded again", async () => {
    const folder = await pull("org/model");
    rmSync(join(folder, "vocab.txt"));
    at.hub.requests.length = 0;
    expect(await pull("org/model")).toBe(folder);
    expect(at.hub.requests.filter(({ path }) => !path.startsWith("/api/"))).toEqual([]);
    expect(readFileSync(join(folder, "vocab.txt"), "utf8")).toBe("[PAD]\n");
  });

  test("a damaged blob of the wrong length is replaced", async () => {
    const folder = await pull("org/model");
    writeFileSync(join(folder, "model.safetensors"), "short");
    await pull("org/model");
    expect(hasWeights(folder)).toBe(true);
  });

  test("revisions, bare names, datasets, names with odd letters, empty files", async () => {
    const folder = await pull("org/model@refs/pr/3");
    expect(readFileSync(join(at.cacheFolder, "models--org--model/refs/refs/pr/3"), "utf8")).toBe(commitOf("org/model"));
    expect(await pull("org/model", { revision: commitOf("org/model") })).toBe(folder);
    expect(existsSync(join(at.cacheFolder, "models--org--model/refs/main"))).toBe(false);
    expect(filesOf(await pull("gpt9"))).toEqual(["config.json", "model.safetensors"]);
    const data = await pull("org/data", { type: "dataset" });
    expect(data).toContain("datasets--org--data");
    expect(filesOf(data)).toEqual(["empty.txt", "train/a b#1.jsonl"]);
    expect(readFileSync(join(data, "empty.txt"), "utf8")).toBe("");
  });

  test("sentence-transformers: the folders of the modules too", async () => {
    const files = ["1_Pooling/config.json", "config.json", "model.safetensors", "modules.json"];
    expect(filesOf(await pull("org/sentences"))).toEqual(files);
  });

  test("globs choose other files", async () => {
    const folder = await pull("org/model", { include: ["*.json", "onnx/"], exclude: ["tok*"] });
    expect(filesOf(folder)).toEqual(["config.json", "onnx/model.onnx"]);
    expect((await failure(pull("org/model", { include: ["*.gguf"] }))).code).toBe("HUB_NOT_FOUND");
  });

  test("a second download waits for the first", async () => {
    at.hub.pace = { bytes: 40_000, milliseconds: 20 };
    const [one, two] = await Promise.all([pull("org/model"), pull("org/model")]);
    expect(one).toBe(two);
    expect(contentRequests()).toHaveLength(1);
    expect(hasWeights(one)).toBe(true);
  });
});

describe("who may have what", () => {
  test("unknown repositories and revisions", async () => {
    expect(await failure(pull("org/nothing"))).toMatchObject({ code: "HUB_NOT_FOUND" });
    const error = await failure(pull("org/model@v9"));
    expect(error).toMatchObject({ code: "HUB_NOT_FOUND" });
    expect(error.message).toContain("this revision");
  });
  test("gated and private ones say how to set a token", async () => {
    at.hub.fault = (path, response, { headers }) =>
      path.includes("/resolve/") && headers.authorization === undefined && !path.startsWith("/cdn/")
        ? !!response.writeHead(403, { "x-error-code": "GatedRepo" }).end()
        : false;
    const error = await failure(pull("org/model"));
    expect(error).toMatchObject({ code: "HUB_UNAUTHORIZED" });
    expect(error.message).toMatch(/conditions.*HF_TOKEN/);
    vi.stubEnv("HF_TOKEN", "hf_secret");
    await pull("org/model");
    // The other host that contents come from does not get the token.
    const tokens = (cdn: boolean) =>
      at.hub.requests.filter(({ path }) => path.startsWith("/cdn/") === cdn).map(({ token }) => token);
    expect(new Set(tokens(true))).toEqual(new Set([undefined]));
    expect(tokens(false)).toContain("Bearer hf_secret");
    at.hub.fault = (_path, response) => !!response.writeHead(401).end();
    expect(await failure(pull("org/model"))).toMatchObject({ code: "HUB_UNAUTHORIZED" });
  });
  test("the token file of hf auth login; tokens of any form", async () => {
    writeFileSync(join(at.cacheFolder, "token"), "organization-token\n");
    await pull("org/model");
    expect(at.hub.requests[0].token).toBe("Bearer organization-token");
  });
  test("only pickles: refused before anything is downloaded", async () => {
    const error = await failure(pull("org/pickle"));
    expect(error).toMatchObject({ code: "WEIGHTS_FORMAT" });
    expect(error.message).toMatch(/pytorch_model\.bin, a Python pickle.*refs\/pr\/NUMBER/);
    expect(existsSync(blobs("org/pickle"))).toBe(false);
    const folder = await pull("org/pickle", { include: ["*.bin"] });
    expect(filesOf(folder)).toEqual(["pytorch_model.bin"]);
  });
  test("names that leave the folder, and hashes that are none", async () => {
    for (const path of ["../x.safetensors", "/etc/x.safetensors", "a/../../x", "a\\..\\x", "C:x", "a//b", "a\0b"]) {
      at.hub.describe = (entry) => (entry.path === "model.safetensors" ? { ...entry, path } : entry);
      expect((await failure(pull("org/model"))).code).toBe("HUB_UNSAFE_PATH");
    }
    at.hub.describe = (entry) => ({ ...entry, lfs: undefined, oid: "../../x" });
    expect((await failure(pull("org/model"))).code).toBe("HUB_NETWORK");
    expect(existsSync(blobs("org/model"))).toBe(false);
  });
});

describe("the disk", () => {
  test("too little space is found before the first byte", async () => {
    at.hub.describe = (entry) => ({ ...entry, size: 2 ** 52, lfs: undefined });
    const error = await failure(pull("org/model"));
    expect(error).toMatchObject({ code: "DISK_FULL" });
    expect(at.hub.requests.filter(({ path }) => path.includes("/resolve/"))).toEqual([]);
  });
  test("full in the middle: an error, and nothing half", async () => {
    const handle = await open(join(at.cacheFolder, "probe"), "w");
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), {
      code: "ENOSPC",
      syscall: "write",
    });
    const write = vi.spyOn(Object.getPrototypeOf(handle), "write").mockRejectedValue(full);
    await handle.close();
    expect(await failure(pull("org/model"))).toMatchObject({ code: "DISK_FULL" });
    expect(write).toHaveBeenCalled();
    expect(readdirSync(blobs("org/model"))).toEqual([]);
  });
  test("other errors of the file system stay what they are", async () => {
    mkdirSync(dirname(blobs("org/model")), { recursive: true });
    writeFileSync(blobs("org/model"), "a file");
    expect((await failure(pull("org/model"))).code).toBe("EEXIST");
  });
});

describe("a proxy", () => {
  test("HTTP_PROXY is used, NO_PROXY goes past it, https is tunnelled", async () => {
    const proxy = await startFakeProxy();
    try {
      vi.stubEnv("http_proxy", proxy.url);
      vi.stubEnv("https_proxy", proxy.url);
      const port = new URL(at.hub.url).port;
      // This name does not exist; the proxy knows it.
      const folder = await pull("org/model", { endpoint: `http://at.hub.invalid:${port}` });
      expect(hasWeights(folder)).toBe(true);
      expect(
        proxy.seen.filter((line) =>
          line.startsWith(`GET http://at.hub.invalid:${port}/api/models/org/model/revision/main`),
        ),
      ).toHaveLength(1);
      expect(proxy.seen.some((line) => line.includes("/cdn/"))).toBe(true);
      proxy.seen.length = 0;
      vi.stubEnv("no_proxy", "127.0.0.1,localhost");
      await pull("gpt9");
      expect(proxy.seen).toEqual([]);
      const error = await failure(
        pull("org/model", { endpoint: `https://at.hub.invalid:${port}`, patience: { attempts: 1 } }),
      );
      expect(error).toMatchObject({ code: "HUB_NETWORK" });
      expect(proxy.seen).toEqual([`CONNECT at.hub.invalid:${port}`]);
    } finally {
      await proxy.close();
    }
  });
});
