// `cloze serve` as its users meet it: the clients they have, a load generator, signals, errors at start.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { scope } from "@cloze/tensor";
import { HuggingFaceInferenceEmbeddings } from "@langchain/community/embeddings/hf";
import autocannon from "autocannon";
import { loadEmbedder, openIndex } from "cloze";
import { CohereClient, CohereClientV2, type CohereError } from "cohere-ai";
import OpenAI, { APIError } from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TinyKind, writeTinyModels } from "../packages/cloze/test/tiny-models.js";
import { type ServeProcess, startServe } from "./serve-process.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cloze-serve-"));
const texts = ["the small cat", "a large dog ran after the cat", "london"];
let folders: Record<TinyKind, string>;
let server: ServeProcess;
let vectors: number[][];

beforeAll(async () => {
  execFileSync(process.execPath, [join(root, "scripts/build.mjs")], { stdio: ["ignore", "ignore", "pipe"] });
  folders = writeTinyModels(folder);
  const embedder = loadEmbedder(folders.embedder);
  vectors = scope(() => embedder.embed(texts).toArray()) as number[][];
  embedder.dispose();
  server = await startServe([
    ...["--model", folders.embedder, "--model", `cross=${folders.reranker}`],
    ...["--api-key", "secret", "--log-level", "warn"],
  ]);
}, 300_000);
afterAll(async () => {
  await server.end();
  rmSync(folder, { recursive: true, force: true });
});

function expectVectors(found: readonly (readonly number[])[]): void {
  expect(found).toHaveLength(vectors.length);
  found.forEach((vector, i) => {
    expect(vector).toHaveLength(vectors[i].length);
    vector.forEach((value, d) => {
      expect(Math.abs(value - vectors[i][d])).toBeLessThan(1e-5);
    });
  });
}

describe("openai", () => {
  const client = () => new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "secret", maxRetries: 0 });
  test("embeddings, in base64 as it asks by default, and in floats", async () => {
    const answer = await client().embeddings.create({ model: "embedder", input: texts });
    expectVectors(answer.data.map(({ embedding }) => embedding));
    expect(answer.usage.total_tokens).toBeGreaterThan(0);
    const floats = await client().embeddings.create({ model: "embedder", input: texts, encoding_format: "float" });
    expectVectors(floats.data.map(({ embedding }) => embedding));
    const short = await client().embeddings.create({ model: "embedder", input: texts[0], dimensions: 4 });
    expect(short.data[0].embedding).toHaveLength(4);
  });
  test("models", async () => {
    const names: string[] = [];
    for await (const { id } of client().models.list()) names.push(id);
    expect(names).toEqual(["embedder", "cross"]);
    expect((await client().models.retrieve("cross")).owned_by).toBe("cloze");
  });
  test("its errors", async () => {
    const failure = async (promise: Promise<unknown>) => {
      const error = await promise.catch((caught) => caught);
      expect(error).toBeInstanceOf(APIError);
      return error as APIError;
    };
    const unknown = await failure(client().embeddings.create({ model: "text-embedding-3-small", input: "a" }));
    expect([unknown.status, unknown.code, unknown.param]).toEqual([404, "model_not_found", "model"]);
    const wrongKey = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "wrong", maxRetries: 0 });
    expect((await failure(wrongKey.embeddings.create({ model: "embedder", input: "a" }))).status).toBe(401);
    expect((await failure(client().embeddings.create({ model: "embedder", input: "" }))).status).toBe(400);
    expect((await failure(client().embeddings.create({ model: "cross", input: "a" }))).code).toBe(
      "model_not_supported",
    );
  });
});

describe("cohere-ai", () => {
  const query = "where is the cat";
  test("rerank, first and second version", async () => {
    const first = new CohereClient({ environment: server.url, token: "secret" });
    const answer = await first.rerank({ model: "cross", query, documents: texts, topN: 2, returnDocuments: true });
    expect(answer.results).toHaveLength(2);
    expect(answer.results[0].relevanceScore).toBeGreaterThanOrEqual(answer.results[1].relevanceScore);
    expect(answer.results[0].document?.text).toBe(texts[answer.results[0].index]);
    const second = new CohereClientV2({ environment: server.url, token: "secret" });
    const again = await second.rerank({ model: "cross", query, documents: texts });
    expect(again.results.slice(0, 2).map(({ index }) => index)).toEqual(answer.results.map(({ index }) => index));
    expect(again.id).toMatch(/^[\da-f-]{36}$/);
  });
  test("its errors", async () => {
    const client = new CohereClientV2({ environment: server.url, token: "secret" });
    const error = (await client
      .rerank({ model: "nobody", query, documents: texts })
      .catch((caught) => caught)) as CohereError;
    expect([error.statusCode, error.body]).toEqual([404, { message: expect.stringContaining("nobody") }]);
    const wrong = new CohereClientV2({ environment: server.url, token: "wrong" });
    const denied = (await wrong
      .rerank({ model: "cross", query, documents: texts })
      .catch((caught) => caught)) as CohereError;
    expect(denied.statusCode).toBe(401);
  });
});

test.each(["/embed", "", "/models/embedder"])("LangChain's class for text-embeddings-inference at %s", async (path) => {
  const embeddings = new HuggingFaceInferenceEmbeddings({
    endpointUrl: server.url + path,
    apiKey: "secret",
    model: "embedder",
  });
  expectVectors(await embeddings.embedDocuments(texts));
  expectVectors([await embeddings.embedQuery(texts[0]), ...vectors.slice(1)]);
});

describe("under load", () => {
  test("autocannon: every request is answered, with the right vector", async () => {
    const requests = texts.map((inputs, i) => ({
      method: "POST" as const,
      path: "/embed",
      headers: { "content-type": "application/json", authorization: "Bearer secret" },
      body: JSON.stringify({ inputs }),
      onResponse(status: number, body: string) {
        const [[first]] = JSON.parse(body) as number[][];
        if (status !== 200 || Math.abs(first - vectors[i][0]) > 1e-5) wrong++;
      },
    }));
    let wrong = 0;
    const result = await autocannon({ url: server.url, connections: 16, amount: 900, requests });
    expect([result["2xx"], result.non2xx, result.errors, result.timeouts, wrong]).toEqual([900, 0, 0, 0, 0]);
  });

  test("SIGTERM: what was accepted is answered, the door is closed, and it ends well", async () => {
    const one = await startServe(["--model", folders.embedder, "--grace-time", "10", "--log-level", "error"]);
    const agent = new Agent({ keepAlive: true, maxSockets: 24 });
    let [answered, wrong, refused] = [0, 0, 0];
    const lost: string[] = [];
    let ending = false;
    /** One request after the other, until the door is closed. */
    const client = async (which: number): Promise<void> => {
      for (;;) {
        const body = JSON.stringify({ inputs: [texts[which % 3]] });
        const outcome = await new Promise<string>((resolve) => {
          let connected = false;
          const outgoing = request(
            `${one.url}/embed`,
            { method: "POST", agent, headers: { "content-type": "application/json", "content-length": body.length } },
            (incoming) => {
              let text = "";
              incoming.setEncoding("utf8").on("data", (chunk) => {
                text += chunk;
              });
              incoming.on("end", () => {
                if (incoming.statusCode !== 200) resolve(`status ${incoming.statusCode}`);
                else resolve(Math.abs(JSON.parse(text)[0][0] - vectors[which % 3][0]) < 1e-5 ? "right" : "wrong");
              });
              incoming.on("error", () => resolve("cut"));
            },
          );
          outgoing.on("socket", (socket) => {
            connected = !socket.connecting;
            socket.on("connect", () => {
              connected = true;
            });
          });
          outgoing.on("error", (error: NodeJS.ErrnoException) => resolve(connected ? `cut: ${error.code}` : "refused"));
          outgoing.end(body);
        });
        if (outcome === "right") answered++;
        else if (outcome === "wrong") wrong++;
        else if (outcome === "refused" && ending) {
          refused++;
          return;
        } else {
          lost.push(outcome);
          return;
        }
      }
    };
    const clients = Array.from({ length: 24 }, (_, i) => client(i));
    await expect.poll(() => answered, { timeout: 20_000 }).toBeGreaterThan(100);
    ending = true;
    const { status, milliseconds } = await one.end();
    await Promise.all(clients);
    expect(lost).toEqual([]);
    expect([wrong, refused, status]).toEqual([0, 24, 0]);
    expect(milliseconds).toBeLessThan(10_000);
    agent.destroy();
  });

  test("a client that leaves frees its place", async () => {
    const ask = async () => {
      const text = await (await fetch(`${server.url}/metrics`, { headers: { authorization: "Bearer secret" } })).text();
      return Number(/^cloze_active_requests (\d+)$/m.exec(text)?.[1]);
    };
    for (let i = 0; i < 30; i++) {
      const leaving = new AbortController();
      const sent = fetch(`${server.url}/v1/embeddings`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: "Bearer secret" },
        body: JSON.stringify({ input: new Array(500).fill("the small cat sat on the mat") }),
        signal: leaving.signal,
      }).catch(() => "left");
      setTimeout(() => leaving.abort(), i % 5);
      await sent;
    }
    await expect.poll(ask).toBe(0);
  });
});

describe("the README", () => {
  const lines = readFileSync(join(root, "README.md"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("curl localhost:3000/"));
  const curl = spawnSync("curl", ["--version"], { stdio: "ignore" }).status === 0;
  if (!curl) console.warn("serving.test.ts skips the README's lines: there is no curl here.");

  test("has lines of curl", () => expect(lines.length).toBeGreaterThan(8));
  test.skipIf(!curl)("its lines of curl are answered", async () => {
    const index = openIndex(join(folder, "index"), { write: true, create: {} });
    index.add([{ id: "1", text: "the small cat", fields: { year: 2001 } }]);
    index.close();
    const kinds = ["embedder", "reranker", "classifier"] as const;
    const one = await startServe([
      ...kinds.flatMap((kind) => ["--model", folders[kind]]),
      ...["--index", join(folder, "index"), "--log-level", "error"],
    ]);
    const answers = lines.map((line) => {
      const command = line.replace("curl localhost:3000", `curl -sS --fail-with-body ${one.url}`);
      const { status, stdout, stderr } = spawnSync("bash", ["-c", command], { encoding: "utf8" });
      expect(status, `${line}\n${stdout}${stderr}`).toBe(0);
      return JSON.parse(stdout);
    });
    const answerTo = (path: string) => answers[lines.findIndex((line) => line.includes(`localhost:3000${path} `))];
    expect(answerTo("/v1/embeddings").data).toHaveLength(2);
    expect(answerTo("/v1/rerank").results).toHaveLength(1);
    expect(answerTo("/embed")[0]).toHaveLength(8);
    expect(answerTo("/search").hits[0]).toMatchObject({ id: "1", highlights: [{ text: "small" }, { text: "cat" }] });
    expect((await one.end()).status).toBe(0);
  });
});

describe("starting", () => {
  const failure = (args: readonly string[]) =>
    startServe(args).then(
      () => expect.unreachable("it started"),
      (failed) => failed,
    );
  test("a folder that is not there, and a port that is taken, are coded errors", async () => {
    const missing = await failure(["--model", join(folder, "nobody")]);
    expect([missing.status, JSON.parse(missing.stdout).error.code]).toEqual([1, "MODEL_NOT_FOUND"]);
    const taken = await failure(["--model", folders.embedder, "--port", new URL(server.url).port]);
    expect([taken.status, JSON.parse(taken.stdout).error.code]).toEqual([1, "SERVER_LISTEN"]);
    expect(JSON.parse((await failure([])).stdout).error.code).toBe("NOTHING_TO_SERVE");
    expect((await failure(["--max-batch-tokens", "many"])).status).toBe(2);
  });
  test("settings come from the environment too", async () => {
    const one = await startServe(["--model", folders.embedder], { MAX_CLIENT_BATCH_SIZE: "2", API_KEY: "one,two" });
    const answer = await fetch(`${one.url}/embed`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer two" },
      body: JSON.stringify({ inputs: texts }),
    });
    expect(answer.status).toBe(422);
    expect(await answer.text()).toContain("maximum allowed batch size 2");
    await expect.poll(() => one.errors()).toContain('"status":422');
    const { status } = await one.end("SIGINT");
    expect(status).toBe(0);
  });
});
