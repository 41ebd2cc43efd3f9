// SIGTERM while an index is searched, long requests run, and a client is slow to send: what was accepted is answered.
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scope } from "@cloze/tensor";
import { loadEmbedder, openIndex } from "cloze";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modelFingerprint } from "../packages/cloze/src/retrieval/store/model-fingerprint.js";
import { writeTinyModel } from "../packages/cloze/test/tiny-models.js";
import { startServe } from "./serve-process.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-drain-"));
const place = join(folder, "index");
const words = "small cat sat mat large dog ran after lovely film dreadful day born london stock market".split(" ");
const documents = 2000;
const query = "a small cat in london";

beforeAll(() => {
  const embedder = writeTinyModel(folder, "embedder");
  const model = loadEmbedder(embedder);
  const vectors = { width: model.width, model: embedder, fingerprint: modelFingerprint(embedder) };
  const index = openIndex(place, { write: true, create: { vectors: { ...vectors, storage: "float32" } } });
  const texts = Array.from({ length: documents }, (_, i) =>
    [1, 3, 5, 7].map((step) => words[(step * i + (i >> 4)) % words.length]).join(" "),
  );
  index.add(
    texts.map((text, i) => ({ id: String(i), text })),
    { vectors: scope(() => model.embed(texts).toTypedArray() as Float32Array) },
  );
  index.close();
  model.dispose();
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Outcome {
  readonly status: number | "lost" | "refused";
  readonly body: string;
}

/** "lost" when a connection that stood brought no answer, "refused" when none came to stand. */
const ask = (url: string, agent: Agent, path: string, body: string): Promise<Outcome> =>
  new Promise((resolve) => {
    let connected = false;
    const failed = () => resolve({ status: connected ? "lost" : "refused", body: "" });
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const outgoing = request(url + path, { method: "POST", agent, headers }, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      incoming.on("error", failed).on("end", () => resolve({ status: incoming.statusCode ?? 0, body: text }));
    });
    outgoing.on("socket", (socket) => {
      connected = !socket.connecting;
      if (socket.connecting)
        socket.once("connect", () => {
          connected = true;
        });
    });
    outgoing.on("error", failed).end(body);
  });

/** A request whose body takes its time. */
const askSlowly = (url: string, pause: number): Promise<string> =>
  new Promise((resolve) => {
    const body = JSON.stringify({ query, pipeline: "dense" });
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    let received = "";
    socket.setEncoding("utf8").on("data", (text) => {
      received += text;
    });
    socket.on("error", () => resolve("lost")).on("close", () => resolve(received));
    socket.write(
      `POST /search HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    const rest = [...body];
    const timer = setInterval(() => {
      const next = rest.shift();
      if (next === undefined || socket.destroyed) clearInterval(timer);
      else socket.write(next);
    }, pause);
  });

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s while words and vectors are searched: all is answered, rightly",
  async (signal) => {
    const server = await startServe(["--index", place, "--grace-time", "20", "--log-level", "error"]);
    const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
    const kinds: readonly (readonly [string, object])[] = [
      ["/search", { query, pipeline: "bm25" }],
      ["/search", { query, pipeline: "dense", top: 50 }],
      ["/search", { query, pipeline: "hybrid" }],
      ["/v1/embeddings", { input: new Array(300).fill(query) }],
    ];
    const expected = await Promise.all(
      kinds.map(async ([path, body]) => (await ask(server.url, agent, path, JSON.stringify(body))).body),
    );
    const answered = kinds.map(() => 0);
    let wrong = 0;
    const last: Outcome["status"][] = [];
    const client = async (which: number): Promise<void> => {
      const [path, body] = kinds[which];
      for (;;) {
        const { status, body: found } = await ask(server.url, agent, path, JSON.stringify(body));
        if (status === 200) {
          answered[which]++;
          // Sums of batches of other sizes may differ in their last bits: ids do not.
          const idsOf = (text: string) => text.match(/"(?:id|index)":[^,]+/g)?.join();
          if (idsOf(found) !== idsOf(expected[which])) wrong++;
        } else {
          last.push(status);
          return;
        }
      }
    };
    const clients = Array.from({ length: 4 * kinds.length }, (_, i) => client(i % kinds.length));
    const slow = askSlowly(server.url, 20);
    await expect.poll(() => Math.min(...answered), { timeout: 20_000 }).toBeGreaterThan(2);
    const before = [...answered];
    const { status, milliseconds } = await server.end(signal);
    await Promise.all(clients);
    expect(await slow).toMatch(/^HTTP\/1\.1 200 [\s\S]*"pipeline":"dense"/);
    expect([wrong, status, new Set(last)]).toEqual([0, 0, new Set(["refused"])]);
    // Some of each kind was under way.
    for (const [i, count] of answered.entries()) expect(count).toBeGreaterThan(before[i]);
    expect(milliseconds).toBeLessThan(20_000);
    agent.destroy();
  },
);

test("a second signal ends it at once", async () => {
  const server = await startServe(["--index", place, "--log-level", "error"]);
  const slow = askSlowly(server.url, 300);
  await new Promise((resolve) => setTimeout(resolve, 200));
  server.child.kill("SIGINT");
  await new Promise((resolve) => setTimeout(resolve, 400));
  const { status, milliseconds } = await server.end("SIGINT");
  expect(status).toBe(1);
  expect(milliseconds).toBeLessThan(2000);
  expect(await slow).not.toContain("200 OK");
});

test("an index whose folder vanishes is searched from memory", async () => {
  const server = await startServe(["--index", place, "--log-level", "error"]);
  const agent = new Agent({ keepAlive: true });
  const found = async (pipeline: string) =>
    JSON.parse((await ask(server.url, agent, "/search", JSON.stringify({ query, pipeline }))).body).hits;
  const before = [await found("bm25"), await found("dense")];
  rmSync(folder, { recursive: true });
  expect([await found("bm25"), await found("dense")]).toEqual(before);
  expect(before[0]).toHaveLength(10);
  agent.destroy();
  expect((await server.end()).status).toBe(0);
});
