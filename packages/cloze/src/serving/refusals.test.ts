// What bad requests get, in the words of the API that was called; and that a server survives them.
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeTinyModel } from "../../test/tiny-models.js";
import { type ClozeServer, createServer, serve } from "./server.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-refusals-"));
let embedder: string;
let server: ClozeServer;
const lines: string[] = [];

beforeAll(async () => {
  embedder = writeTinyModel(folder, "embedder");
  const sink = new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk));
      done();
    },
  });
  server = await serve({
    models: [{ folder: embedder, name: "tiny" }],
    port: 0,
    settings: { payloadLimit: 300_000, receiveTimeout: 1000 },
    logger: pino({ level: "info" }, sink),
  });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function send(
  path: string,
  body: string | Buffer | undefined,
  headers: Record<string, string> = {},
  method = "POST",
) {
  const response = await fetch(server.url + path, {
    method,
    body: body as string | undefined,
    headers: { "content-type": "application/json", ...headers },
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
}

/** The error body of each API. */
const forms = {
  tei: { error: expect.any(String), error_type: expect.any(String) },
  openai: {
    error: {
      message: expect.any(String),
      type: expect.any(String),
      param: expect.toBeOneOf([null, expect.any(String)]),
      code: expect.toBeOneOf([null, expect.any(String)]),
    },
  },
  cohere: { message: expect.any(String) },
};
const json = JSON.stringify;

describe.each([
  ["tei", "/embed", (inputs: unknown, more = {}) => ({ inputs, ...more })],
  ["openai", "/v1/embeddings", (input: unknown, more = {}) => ({ input, ...more })],
  [
    "cohere",
    "/v1/rerank",
    (documents: unknown, more = {}) => ({
      query: "a",
      documents: documents === "" || documents === undefined ? [] : documents,
      ...more,
    }),
  ],
] as const)("%s's form, %s", (dialect, path, body) => {
  const wrongShape = dialect === "tei" ? 422 : 400;
  const cases: [string, number, string | Buffer, Record<string, string>?][] = [
    ["no JSON", 400, "{"],
    ["nothing", 400, ""],
    ["invalid UTF-8", 400, Buffer.concat([Buffer.from('{"inputs":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])],
    ["JSON of another shape", wrongShape, "[]"],
    ["null", wrongShape, "null"],
    ["a field of another type", wrongShape, json(body({ a: 1 }))],
    ["a number too many levels deep", wrongShape, json(body([[[1]]]))],
    ["no field", wrongShape, dialect === "cohere" ? json({ query: "a" }) : "{}"],
    ["an empty text", 400, json(body(""))],
    ["an empty list", 400, json(body([]))],
    ["an empty text among others", 400, json(body(["a", ""]))],
    ["a model that is not there", 404, json(body(["a"], { model: "nobody" }))],
    ["a large body", 413, json(body(["a".repeat(400_000)]))],
    ["another content type", 415, json(body(["a"])), { "content-type": "text/plain" }],
    ["too many inputs", wrongShape, json(body(new Array(50_000).fill("a")))],
    ["deep nesting", wrongShape, `{"inputs":${"[".repeat(20_000)}${"]".repeat(20_000)}}`],
  ];
  test.each(cases)("%s: %i", async (_, status, payload, headers) => {
    const answer = await send(path, payload, headers);
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual(forms[dialect]);
    expect(answer.headers.get("content-type")).toContain("application/json");
  });
});

describe("particulars", () => {
  test("OpenAI's form names the field, the kind and the code", async () => {
    expect((await send("/v1/embeddings", json({ input: ["a"], model: "nobody" }))).body.error).toMatchObject({
      type: "invalid_request_error",
      param: "model",
      code: "model_not_found",
    });
    expect((await send("/v1/embeddings", json({ input: "a", dimensions: 999 }))).body.error).toMatchObject({
      param: "dimensions",
    });
    expect((await send("/v1/embeddings", json({ input: "a", encoding_format: "hex" }))).body.error.message).toContain(
      "base64",
    );
    expect((await send("/v1/embeddings", json({ input: [7, 1e9] }))).status).toBe(400);
    expect((await send("/v1/models/nobody", undefined, {}, "GET")).body.error.code).toBe("model_not_found");
    expect((await send("/v1/nothing", "{}")).body.error.code).toBe("unknown_url");
  });
  test("text-embeddings-inference's form names its kinds", async () => {
    const kindOf = async (path: string, body: object) => (await send(path, json(body))).body.error_type;
    expect(await kindOf("/embed", { inputs: "" })).toBe("Empty");
    expect(await kindOf("/embed", { inputs: new Array(33).fill("a") })).toBe("Validation");
    expect(await kindOf("/embed", { inputs: "a", prompt_name: "query" })).toBe("Validation");
    expect(await kindOf("/predict", { inputs: "a" })).toBe("Backend");
    expect(await kindOf("/rerank", { query: "a", texts: ["b"] })).toBe("Backend");
    expect(await kindOf("/embed_sparse", { inputs: "a" })).toBe("Backend");
    expect(await kindOf("/predict", { inputs: ["a", "b", "c"] })).toBe("Validation");
    expect(await kindOf("/nothing", {})).toBe("NotFound");
    expect((await send("/embed", undefined, {}, "GET")).status).toBe(405);
  });
  test("odd texts are texts", async () => {
    const odd = [
      "\u0000",
      "\ud800 alone",
      "\u202e",
      "🤷🏽‍♀️".repeat(50),
      "a".repeat(20_000),
      " \n\t",
      "[SEP] [CLS] [MASK]",
    ];
    const { status, body } = await send("/embed", json({ inputs: odd }));
    expect(status).toBe(200);
    for (const vector of body) expect(vector.every(Number.isFinite)).toBe(true);
    expect((await send("/tokenize", json({ inputs: odd }))).status).toBe(200);
  });
  test("__proto__ and unknown fields do nothing", async () => {
    const { status } = await send(
      "/embed",
      '{"inputs":"a","__proto__":{"truncate":false},"constructor":1,"unknown":[]}',
    );
    expect(status).toBe(200);
  });
  test("the log has a line for each request, and no text of any", async () => {
    await send("/embed", json({ inputs: "a secret that nobody logs" }));
    await send("/fill-mask?secret=secret", json({ inputs: "a secret that nobody logs" }));
    await send("/secret", json({ inputs: "a secret that nobody logs" }));
    await expect.poll(() => lines.some((line) => line.includes('"route":"unknown"'))).toBe(true);
    expect(lines.join("")).not.toContain("secret");
    const line = JSON.parse(
      lines.find((one) => one.includes('"route":"/embed"') && one.includes('"status":200')) ?? "",
    );
    expect(line).toMatchObject({
      method: "POST",
      model: "tiny",
      inputs: expect.any(Number),
      tokens: expect.any(Number),
    });
  });
});

describe("connections", () => {
  const port = () => Number(new URL(server.url).port);
  /** Writes bytes as they are, and gives what comes back until the end. */
  const raw = (chunks: readonly string[], pause = 0): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(port(), "127.0.0.1");
      let received = "";
      socket.setEncoding("utf8").on("data", (text) => {
        received += text;
      });
      socket.on("error", reject).on("close", () => resolve(received));
      void (async () => {
        for (const chunk of chunks) {
          if (socket.destroyed) return;
          socket.write(chunk);
          await new Promise((done) => setTimeout(done, pause));
        }
      })();
    });

  test("what is no HTTP gets 400; headers that are too large 431", async () => {
    expect(await raw(["nonsense\r\n\r\n"])).toMatch(/^HTTP\/1.1 400 [\s\S]*"error_type":"Validation"/);
    expect(await raw([`GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(20_000)}\r\n\r\n`])).toMatch(/^HTTP\/1.1 431 /);
  });
  test("a client that never ends its request gets 408", async () => {
    const answer = await raw([
      "POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    ]);
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
  }, 40_000);
  test("cut connections leave nothing behind", async () => {
    for (let i = 0; i < 20; i++) {
      const socket = connect(port(), "127.0.0.1");
      await new Promise((resolve) => socket.on("connect", resolve));
      const body = json({ inputs: "a cat on a mat" });
      socket.write(
        `POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${i % 2 ? body : body.slice(0, 5)}`,
      );
      socket.destroy();
    }
    await expect.poll(() => server.state.scheduler.active).toBe(0);
    expect((await send("/embed", json({ inputs: "still here" }))).status).toBe(200);
  });
});

describe("settings", () => {
  const inject = async (settings: object, headers: Record<string, string> = {}, url = "/embed", load = true) => {
    const one = await createServer({ models: [{ folder: embedder }], settings: { warmUp: false, ...settings } });
    if (load) await one.load();
    const response = await one.app.inject({
      method: "POST",
      url,
      payload: url === "/embed" ? { inputs: "cat ".repeat(60) } : { input: "a" },
      headers: { "content-type": "application/json", ...headers },
    });
    const open = await Promise.all(
      ["/livez", "/readyz", "/metrics"].map(
        async (path) => (await one.app.inject({ method: "GET", url: path })).statusCode,
      ),
    );
    await one.app.close();
    one.dispose();
    return { response, open };
  };
  test("keys: none, a wrong one, the right ones; health needs none", async () => {
    const apiKeys = ["first-key", "second-key"];
    const { response, open } = await inject({ apiKeys });
    expect(response.statusCode).toBe(401);
    expect(response.json()).toEqual({ error: expect.stringContaining("key"), error_type: "Unauthorized" });
    expect(open).toEqual([200, 200, 401]);
    for (const wrong of ["Bearer wrong", "Bearer ", "first-key", "Basic first-key", "Bearer first-key "]) {
      const { response } = await inject({ apiKeys }, { authorization: wrong }, "/v1/embeddings");
      expect([wrong, response.statusCode]).toEqual([wrong, 401]);
      expect(response.json().error.code).toBe("invalid_api_key");
    }
    for (const key of apiKeys)
      expect((await inject({ apiKeys }, { authorization: `Bearer ${key}` })).response.statusCode).toBe(200);
  });
  test("pages of other origins may not call, unless they are named", async () => {
    const origin = { origin: "https://example.org" };
    expect((await inject({}, origin)).response.headers["access-control-allow-origin"]).toBeUndefined();
    const named = await inject({ corsAllowOrigin: ["https://example.org"] }, origin);
    expect(named.response.headers["access-control-allow-origin"]).toBe("https://example.org");
    const other = await inject({ corsAllowOrigin: ["https://other.org"] }, origin);
    expect(other.response.headers["access-control-allow-origin"]).not.toBe("https://example.org");
    expect((await inject({ corsAllowOrigin: ["*"] }, origin)).response.headers["access-control-allow-origin"]).toBe(
      "*",
    );
  });
  test("texts that are too long are refused where the server says so", async () => {
    expect((await inject({ autoTruncate: false })).response.statusCode).toBe(422);
  });
  test("while models load, the server lives and is not ready", async () => {
    const { response, open } = await inject({}, {}, "/embed", false);
    expect(response.statusCode).toBe(503);
    expect(response.json().error_type).toBe("Unhealthy");
    expect(response.headers["retry-after"]).toBe("1");
    expect(open).toEqual([200, 503, 200]);
  });
  test("a request that takes too long gets 504", async () => {
    const one = await createServer({ models: [{ folder: embedder }], settings: { requestTimeout: 30 } });
    await one.load();
    const { dense } = one.state.models.get("embedder")?.abilities ?? {};
    const program = dense?.program as { compute: (...args: unknown[]) => Promise<unknown> };
    const { compute } = program;
    program.compute = async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 150));
      return compute(...args);
    };
    const ask = () => one.app.inject({ method: "POST", url: "/embed", payload: { inputs: "a" } });
    const answer = await ask();
    expect([answer.statusCode, answer.json().error_type]).toEqual([504, "Timeout"]);
    await one.state.scheduler.idle();
    await one.app.close();
    one.dispose();
  });
  test("a busy server says when to come back", async () => {
    const one = await createServer({ models: [{ folder: embedder }], settings: { maxConcurrentRequests: 2 } });
    await one.load();
    const ask = (url: string, payload: object) => one.app.inject({ method: "POST", url, payload });
    const answers = await Promise.all([
      ...Array.from({ length: 8 }, () => ask("/embed", { inputs: "a" })),
      ...Array.from({ length: 4 }, () => ask("/v1/embeddings", { input: "a" })),
    ]);
    const busy = answers.filter(({ statusCode }) => statusCode === 429);
    expect(answers.filter(({ statusCode }) => statusCode === 200).length).toBeGreaterThanOrEqual(2);
    expect(busy.length).toBeGreaterThan(0);
    for (const { headers } of busy) expect(Number(headers["retry-after"])).toBeGreaterThanOrEqual(1);
    expect(
      busy.some(
        (answer) => answer.json().error_type === "Overloaded" || answer.json().error.code === "rate_limit_exceeded",
      ),
    ).toBe(true);
    await one.app.close();
    one.dispose();
  });
});

describe("starting and staying", () => {
  test("a port that is taken is an error that says what to do", async () => {
    const other = createTcpServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.on("listening", resolve));
    const { port } = other.address() as { port: number };
    await expect(serve({ models: [{ folder: embedder }], port })).rejects.toMatchObject({
      code: "SERVER_LISTEN",
      message: expect.stringContaining("--port"),
    });
    other.close();
  });
  test("a folder that holds no model, and two models of one name, are errors, and free the port", async () => {
    const { port } = new URL(server.url);
    await expect(serve({ models: [{ folder }], port: 0 })).rejects.toMatchObject({ code: "CONFIG_MISSING" });
    const twice = { folder: embedder };
    await expect(serve({ models: [twice, twice], port: 0 })).rejects.toMatchObject({ code: "NAME_TAKEN" });
    expect(port).not.toBe("0");
  });
  test("connections that say nothing do not hold up the end", async () => {
    const one = await serve({ models: [{ folder: embedder }], port: 0, settings: { graceTime: 20_000 } });
    const { port } = new URL(one.url);
    const [silent, begun] = [connect(Number(port), "127.0.0.1"), connect(Number(port), "127.0.0.1")];
    await Promise.all([silent, begun].map((socket) => new Promise((resolve) => socket.on("connect", resolve))));
    for (const socket of [silent, begun]) socket.on("error", () => {});
    begun.write("POST /embed HT");
    const start = performance.now();
    expect(await one.close()).toBe(true);
    expect(performance.now() - start).toBeLessThan(5000);
  });
  test("a model folder that vanishes while serving is in memory all the same", async () => {
    const place = writeTinyModel(join(folder, "vanishing"), "embedder");
    const one = await serve({ models: [{ folder: place }], port: 0 });
    const ask = async () => {
      const response = await fetch(`${one.url}/embed`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: json({ inputs: ["the small cat"] }),
      });
      return { status: response.status, body: await response.json() };
    };
    const before = await ask();
    rmSync(join(folder, "vanishing"), { recursive: true });
    expect(await ask()).toEqual(before);
    // Vectors of tokens take another plan of the same weights, made now.
    const all = await fetch(`${one.url}/embed_all`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: json({ inputs: "the small cat" }),
    });
    expect(all.status).toBe(200);
    expect((await fetch(`${one.url}/readyz`)).status).toBe(200);
    expect(await one.close()).toBe(true);
  });
});
