// Downloads over a bad line: cut, damaged, refused for a while, slow or silent.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { gitHash, sha256 } from "../../../test/fake-hub.js";
import {
  at,
  blobs,
  contentRequests,
  failure,
  hasWeights,
  pull,
  repositories,
  text,
  useFakeHub,
  weights,
} from "../../../test/pulling.js";
import type { PullProgress } from "./pull.js";

useFakeHub();

const cut = (after: number, times: number) => {
  let left = times;
  at.hub.fault = (path, response, incoming) => {
    if (!path.startsWith("/cdn/") || left-- <= 0) return false;
    const from = Number(/(\d+)-/.exec(incoming.headers.range ?? "0-")?.[1]);
    if (from > 0) response.writeHead(206, { "content-range": `bytes ${from}-${weights.length - 1}/${weights.length}` });
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
  expect(existsSync(join(at.cacheFolder, "models--org--model/refs/main"))).toBe(false);
  const events: PullProgress[] = [];
  await pull("org/model", { progress: (event) => events.push(event) });
  const last = events[events.length - 1];
  expect(last.received).toBeLessThan(last.totalBytes);
  expect(contentRequests().map(({ range }) => range)).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
  expect(readdirSync(blobs("org/model")).filter((name) => name.endsWith(".incomplete"))).toEqual([]);

  rmSync(join(blobs("org/model"), sha256(weights)));
  writeFileSync(join(blobs("org/model"), half), weights.subarray(0, 1000));
  at.hub.fault = (path, response) => path.startsWith("/cdn/") && !!response.end(weights);
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
    at.hub.corrupt = (path, content) => (path === name ? Buffer.from(content).fill(65, 2, 4) : content);
    const error = await failure(pull("org/model"));
    expect(error).toMatchObject({ code: "HUB_CHECKSUM" });
    expect(error.message).toContain(name);
    const content = repositories["org/model"].files[name];
    const left = readdirSync(blobs("org/model"));
    expect(left.filter((blob) => blob.startsWith(sha256(content)) || blob.startsWith(gitHash(content)))).toEqual([]);
  }
});

test("a content that is too long, or that the hub itself names otherwise", async () => {
  at.hub.corrupt = (path, content) => (path === "model.safetensors" ? Buffer.concat([content, content]) : content);
  expect((await failure(pull("org/model"))).code).toBe("HUB_CHECKSUM");
  at.hub.corrupt = (path, content) => (path === "x-linked-etag" ? text("another") : content);
  expect((await failure(pull("org/model"))).message).toContain("x-linked-etag");
});

test("429 and 503 are tried again as asked, for a while", async () => {
  let answers = 0;
  const busy = (status: number, header: string) => {
    answers = 0;
    at.hub.fault = (_path, response) => ++answers <= 2 && !!response.writeHead(status, { "retry-after": header }).end();
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
  at.hub.fault = (_path, response) => !!response.writeHead(500).end();
  at.hub.requests.length = 0;
  expect((await failure(pull("org/model"))).code).toBe("HUB_NETWORK");
  expect(at.hub.requests).toHaveLength(5);
});

test("a hub that falls silent", async () => {
  let silent = 0;
  at.hub.fault = (path, response) => {
    if (!path.startsWith("/cdn/") || silent++ > 0) return false;
    response.write(weights.subarray(0, 1000));
    return true;
  };
  expect(hasWeights(await pull("org/model", { patience: { silence: 300 } }))).toBe(true);
  expect(silent).toBe(2);
});

test("slow is not broken", async () => {
  at.hub.pace = { bytes: 40_000, milliseconds: 60 };
  await pull("org/model", { patience: { silence: 400, attempts: 1 } });
  expect(contentRequests()).toHaveLength(1);
});

test("no hub at all fails at once", async () => {
  await at.hub.close();
  const error = await failure(pull("org/model", { patience: { delay: 60_000 } }));
  expect(error).toMatchObject({ code: "HUB_NETWORK" });
  expect(error.message).toContain("ECONNREFUSED");
});

test("something else than a hub", async () => {
  at.hub.fault = (_path, response) => !!response.end("<html>Welcome to the hotel's network</html>");
  expect((await failure(pull("org/model"))).message).toContain("does not answer like a hub");
  expect((await failure(pull("org/model", { endpoint: "no url" }))).message).toContain("HF_ENDPOINT");
});

test("a signal ends it, and what arrived stays", async () => {
  at.hub.pace = { bytes: 20_000, milliseconds: 20 };
  const stop = new AbortController();
  const promise = pull("org/model", {
    signal: stop.signal,
    progress: ({ bytes }) => bytes > 100_000 && stop.abort(),
  });
  expect((await failure(promise)).name).toBe("AbortError");
  expect(readdirSync(blobs("org/model"))).toContain(`${sha256(weights)}.released.incomplete`);
});
