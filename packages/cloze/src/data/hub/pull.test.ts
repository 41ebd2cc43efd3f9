import { randomBytes } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  commitOf,
  type FakeHub,
  type FakeRepository,
  gitHash,
  sha256,
  startFakeHub,
  startFakeProxy,
} from "../../../test/fake-hub.js";
import { type PullOptions, type PullProgress, pullModel } from "./pull.js";
import { resolveModelFolder } from "./resolve.js";

const weights = randomBytes(400_000);
const text = (value: string) => Buffer.from(value);
const repositories: Record<string, FakeRepository> = {
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

let hub: FakeHub;
let cacheFolder: string;
beforeEach(async () => {
  hub = await startFakeHub(repositories);
  cacheFolder = mkdtempSync(join(tmpdir(), "cloze-hub-"));
  for (const name of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT"])
    vi.stubEnv(name, "");
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"])
    for (const one of [name, name.toLowerCase()]) vi.stubEnv(one, "");
  vi.stubEnv("HF_HOME", cacheFolder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await hub.close();
  rmSync(cacheFolder, { recursive: true, force: true });
});

const pull = (id: string, options: PullOptions = {}) =>
  pullModel(id, { endpoint: hub.url, cacheFolder, ...options, patience: { delay: 5, ...options.patience } });
const failure = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (reason: Error & { code?: string }) => reason,
  );
  expect(error).toBeDefined();
  return error!;
};
const blobs = (name: string) => join(cacheFolder, `models--${name.replace("/", "--")}`, "blobs");
const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => !lstatSync(join(folder, name)).isDirectory())
    .sort();
/** Whether the weights are right; comparing them by toEqual takes seconds. */
const hasWeights = (folder: string): boolean => readFileSync(join(folder, "model.safetensors")).equals(weights);
const contentRequests = () => hub.requests.filter(({ path }) => path.startsWith("/cdn/"));

describe("the cache", () => {
  test("blobs by hash, links in the snapshot, the revision last", async () => {
    const events: PullProgress[] = [];
    const folder = await pull("org/model", { progress: (event) => events.push(event) });
    expect(folder).toBe(join(cacheFolder, "models--org--model/snapshots", commitOf("org/model")));
    expect(filesOf(folder)).toEqual(["README.md", "config.json", "model.safetensors", "tokenizer.json", "vocab.txt"]);
    expect(hasWeights(folder)).toBe(true);
    expect(readlinkSync(join(folder, "model.safetensors"))).toBe(`../../blobs/${sha256(weights)}`);
    expect(readlinkSync(join(folder, "vocab.txt"))).toBe(`../../blobs/${gitHash(text("[PAD]\n"))}`);
    expect(readFileSync(join(cacheFolder, "models--org--model/refs/main"), "utf8")).toBe(commitOf("org/model"));
    expect(readdirSync(blobs("org/model"))).toHaveLength(5);
    const last = events[events.length - 1];
    expect(last).toMatchObject({ bytes: last.totalBytes, received: last.totalBytes, filesDone: 5, files: 5 });
    expect(events.every(({ bytes }, i) => i === 0 || bytes >= events[i - 1].bytes)).toBe(true);
  });

  test("what is there is not downloaded again", async () => {
    const folder = await pull("org/model");
    rmSync(join(folder, "vocab.txt"));
    hub.requests.length = 0;
    expect(await pull("org/model")).toBe(folder);
    expect(hub.requests.filter(({ path }) => !path.startsWith("/api/"))).toEqual([]);
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
    expect(readFileSync(join(cacheFolder, "models--org--model/refs/refs/pr/3"), "utf8")).toBe(commitOf("org/model"));
    expect(await pull("org/model", { revision: commitOf("org/model") })).toBe(folder);
    expect(existsSync(join(cacheFolder, "models--org--model/refs/main"))).toBe(false);
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
    hub.pace = { bytes: 40_000, milliseconds: 20 };
    const [one, two] = await Promise.all([pull("org/model"), pull("org/model")]);
    expect(one).toBe(two);
    expect(contentRequests()).toHaveLength(1);
    expect(hasWeights(one)).toBe(true);
  });
});

describe("resolveModelFolder", () => {
  const resolve = (name: string) => resolveModelFolder(name, { cacheFolder });
  test("a path, an id, an id with a revision", async () => {
    expect(resolve(cacheFolder)).toBe(cacheFolder);
    const folder = await pull("org/model");
    expect(resolve("org/model")).toBe(folder);
    expect(resolve("org/model@main")).toBe(folder);
    expect(resolve(`org/model@${commitOf("org/model")}`)).toBe(folder);
    expect(await pull("gpt9")).toBe(resolve("gpt9"));
  });
  test("what is absent, or there in part, names the command", async () => {
    expect(() => resolve("org/model")).toThrow(/cloze pull org\/model/);
    const folder = await pull("org/model", { include: ["config.json"] });
    expect(() => resolve("org/model")).toThrow(/model.safetensors is missing/);
    writeFileSync(join(folder, "model.safetensors.index.json"), '{"weight_map":{"a":"model-1.safetensors"}}');
    expect(() => resolve("org/model")).toThrow(/model-1.safetensors is missing/);
    writeFileSync(join(folder, "model-1.safetensors"), "");
    expect(resolve("org/model")).toBe(folder);
  });
  test("paths are no ids", async () => {
    for (const path of ["./org/model", "/no/such", "a/b/c", "../x", "org/..", "org/na--me", "org/model@../main"]) {
      const error = await failure(Promise.resolve().then(() => resolve(path)));
      expect(error).toMatchObject({ code: "MODEL_NOT_FOUND" });
      expect(error.message).not.toContain("cloze pull");
      expect((await failure(pull(path))).code).toBe("HUB_ID_INVALID");
    }
    expect(hub.requests).toEqual([]);
  });
  test("offline: the cache or an error, and no request", async () => {
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect(await failure(pull("org/model"))).toMatchObject({ code: "HUB_OFFLINE" });
    const folder = await pull("org/model", { offline: false });
    hub.requests.length = 0;
    expect(await pull("org/model")).toBe(folder);
    expect(hub.requests).toEqual([]);
  });
});

describe("a bad line", () => {
  const cut = (after: number, times: number) => {
    let left = times;
    hub.fault = (path, response, incoming) => {
      if (!path.startsWith("/cdn/") || left-- <= 0) return false;
      const from = Number(/(\d+)-/.exec(incoming.headers.range ?? "0-")?.[1]);
      if (from > 0)
        response.writeHead(206, { "content-range": `bytes ${from}-${weights.length - 1}/${weights.length}` });
      response.write(weights.subarray(from, from + after), () => response.destroy());
      return true;
    };
  };
  test("a cut connection goes on where it was", async () => {
    // More cuts than attempts: bytes that arrive renew the patience.
    cut(50_000, 7);
    const folder = await pull("org/model");
    expect(hasWeights(folder)).toBe(true);
    const ranges = contentRequests().map(({ range }) => Number(/(\d+)-/.exec(range ?? "0-")?.[1]));
    expect(ranges).toHaveLength(8);
    expect(ranges.every((from, i) => i === 0 || from > ranges[i - 1])).toBe(true);
  });
  test("what an earlier call left is used, also after a hub that ignores ranges", async () => {
    cut(100_000, 1);
    expect((await failure(pull("org/model", { patience: { attempts: 0 } }))).code).toBe("HUB_NETWORK");
    const [half] = readdirSync(blobs("org/model")).filter((name) => name.endsWith(".incomplete"));
    expect(half).toBe(`${sha256(weights)}.released.incomplete`);
    expect(existsSync(join(cacheFolder, "models--org--model/refs/main"))).toBe(false);
    const events: PullProgress[] = [];
    await pull("org/model", { progress: (event) => events.push(event) });
    const last = events[events.length - 1];
    expect(last.received).toBeLessThan(last.totalBytes);
    expect(contentRequests().map(({ range }) => range)).toEqual([
      undefined,
      expect.stringMatching(/^bytes=[1-9]\d*-$/),
    ]);
    expect(readdirSync(blobs("org/model")).filter((name) => name.endsWith(".incomplete"))).toEqual([]);

    rmSync(join(blobs("org/model"), sha256(weights)));
    writeFileSync(join(blobs("org/model"), half), weights.subarray(0, 1000));
    hub.fault = (path, response) => path.startsWith("/cdn/") && !!response.end(weights);
    expect(hasWeights(await pull("org/model"))).toBe(true);
  });
  test("a half that holds something else is not trusted", async () => {
    mkdirSync(blobs("org/model"), { recursive: true });
    for (const length of [1000, weights.length, weights.length + 1]) {
      writeFileSync(join(blobs("org/model"), `${sha256(weights)}.released.incomplete`), Buffer.alloc(length));
      expect(hasWeights(await pull("org/model"))).toBe(true);
      rmSync(join(blobs("org/model"), sha256(weights)));
    }
  });
  test("a wrong content is thrown away, in large files and small ones", async () => {
    for (const name of ["model.safetensors", "vocab.txt"]) {
      hub.corrupt = (path, content) => (path === name ? Buffer.from(content).fill(65, 2, 4) : content);
      const error = await failure(pull("org/model"));
      expect(error).toMatchObject({ code: "HUB_CHECKSUM" });
      expect(error.message).toContain(name);
      const content = repositories["org/model"].files[name];
      const left = readdirSync(blobs("org/model"));
      expect(left.filter((blob) => blob.startsWith(sha256(content)) || blob.startsWith(gitHash(content)))).toEqual([]);
    }
  });
  test("a content that is too long, or that the hub itself names otherwise", async () => {
    hub.corrupt = (path, content) => (path === "model.safetensors" ? Buffer.concat([content, content]) : content);
    expect((await failure(pull("org/model"))).code).toBe("HUB_CHECKSUM");
    hub.corrupt = (path, content) => (path === "x-linked-etag" ? text("another") : content);
    expect((await failure(pull("org/model"))).message).toContain("x-linked-etag");
  });
  test("429 and 503 are tried again as asked, for a while", async () => {
    let answers = 0;
    const busy = (status: number, header: string) => {
      answers = 0;
      hub.fault = (_path, response) => ++answers <= 2 && !!response.writeHead(status, { "retry-after": header }).end();
    };
    busy(429, "0.05");
    const start = performance.now();
    await pull("org/model");
    expect(performance.now() - start).toBeGreaterThan(95);
    busy(503, new Date(Date.now() - 1000).toUTCString());
    await pull("org/model");
    expect(answers).toBeGreaterThan(2);
    busy(429, "3600");
    const error = await failure(pull("org/model"));
    expect(error).toMatchObject({ code: "HUB_NETWORK" });
    expect(error.message).toContain("it asks to wait 3600 s");
    hub.fault = (_path, response) => !!response.writeHead(500).end();
    hub.requests.length = 0;
    expect((await failure(pull("org/model"))).code).toBe("HUB_NETWORK");
    expect(hub.requests).toHaveLength(5);
  });
  test("a hub that falls silent", async () => {
    let silent = 0;
    hub.fault = (path, response) => {
      if (!path.startsWith("/cdn/") || silent++ > 0) return false;
      response.write(weights.subarray(0, 1000));
      return true;
    };
    expect(hasWeights(await pull("org/model", { patience: { silence: 300 } }))).toBe(true);
    expect(silent).toBe(2);
  });
  test("slow is not broken", async () => {
    hub.pace = { bytes: 40_000, milliseconds: 60 };
    await pull("org/model", { patience: { silence: 400, attempts: 1 } });
    expect(contentRequests()).toHaveLength(1);
  });
  test("no hub at all fails at once", async () => {
    await hub.close();
    const error = await failure(pull("org/model", { patience: { delay: 60_000 } }));
    expect(error).toMatchObject({ code: "HUB_NETWORK" });
    expect(error.message).toContain("ECONNREFUSED");
  });
  test("something else than a hub", async () => {
    hub.fault = (_path, response) => !!response.end("<html>Welcome to the hotel's network</html>");
    expect((await failure(pull("org/model"))).message).toContain("does not answer like a hub");
    expect((await failure(pull("org/model", { endpoint: "no url" }))).message).toContain("HF_ENDPOINT");
  });
  test("a signal ends it, and what arrived stays", async () => {
    hub.pace = { bytes: 20_000, milliseconds: 20 };
    const stop = new AbortController();
    const promise = pull("org/model", {
      signal: stop.signal,
      progress: ({ bytes }) => bytes > 100_000 && stop.abort(),
    });
    expect((await failure(promise)).name).toBe("AbortError");
    expect(readdirSync(blobs("org/model"))).toContain(`${sha256(weights)}.released.incomplete`);
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
    hub.fault = (path, response, { headers }) =>
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
      hub.requests.filter(({ path }) => path.startsWith("/cdn/") === cdn).map(({ token }) => token);
    expect(new Set(tokens(true))).toEqual(new Set([undefined]));
    expect(tokens(false)).toContain("Bearer hf_secret");
    hub.fault = (_path, response) => !!response.writeHead(401).end();
    expect(await failure(pull("org/model"))).toMatchObject({ code: "HUB_UNAUTHORIZED" });
  });
  test("the token file of hf auth login; tokens of any form", async () => {
    writeFileSync(join(cacheFolder, "token"), "organization-token\n");
    await pull("org/model");
    expect(hub.requests[0].token).toBe("Bearer organization-token");
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
      hub.describe = (entry) => (entry.path === "model.safetensors" ? { ...entry, path } : entry);
      expect((await failure(pull("org/model"))).code).toBe("HUB_UNSAFE_PATH");
    }
    hub.describe = (entry) => ({ ...entry, lfs: undefined, oid: "../../x" });
    expect((await failure(pull("org/model"))).code).toBe("HUB_NETWORK");
    expect(existsSync(blobs("org/model"))).toBe(false);
  });
});

describe("the disk", () => {
  test("too little space is found before the first byte", async () => {
    hub.describe = (entry) => ({ ...entry, size: 2 ** 52, lfs: undefined });
    const error = await failure(pull("org/model"));
    expect(error).toMatchObject({ code: "DISK_FULL" });
    expect(hub.requests.filter(({ path }) => path.includes("/resolve/"))).toEqual([]);
  });
  test("full in the middle: an error, and nothing half", async () => {
    const handle = await open(join(cacheFolder, "probe"), "w");
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
      const port = new URL(hub.url).port;
      // This name does not exist; the proxy knows it.
      const folder = await pull("org/model", { endpoint: `http://hub.invalid:${port}` });
      expect(hasWeights(folder)).toBe(true);
      expect(
        proxy.seen.filter((line) =>
          line.startsWith(`GET http://hub.invalid:${port}/api/models/org/model/revision/main`),
        ),
      ).toHaveLength(1);
      expect(proxy.seen.some((line) => line.includes("/cdn/"))).toBe(true);
      proxy.seen.length = 0;
      vi.stubEnv("no_proxy", "127.0.0.1,localhost");
      await pull("gpt9");
      expect(proxy.seen).toEqual([]);
      const error = await failure(
        pull("org/model", { endpoint: `https://hub.invalid:${port}`, patience: { attempts: 1 } }),
      );
      expect(error).toMatchObject({ code: "HUB_NETWORK" });
      expect(proxy.seen).toEqual([`CONNECT hub.invalid:${port}`]);
    } finally {
      await proxy.close();
    }
  });
});
