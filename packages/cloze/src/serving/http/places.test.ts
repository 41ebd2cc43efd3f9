// Requests for what is not there, and bodies that are not what they should be: refused in the words of the API whose path it is.
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyModel } from "../../../test/tiny-models.js";
import { type ClozeServer, createServer, serve } from "../server.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-places-"));
let server: ClozeServer;

beforeAll(async () => {
  const models = [{ folder: writeTinyModel(folder, "embedder") }];
  server = await serve({ models, port: 0, settings: { autoTruncate: false } });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const forms = {
  tei: { error: expect.any(String), error_type: expect.any(String) },
  openai: { error: expect.objectContaining({ message: expect.any(String), type: "invalid_request_error" }) },
  cohere: { message: expect.any(String) },
};

async function send(method: string, path: string, body?: string | Buffer, headers: Record<string, string> = {}) {
  const response = await fetch(server.url + path, {
    method,
    body,
    headers: { "content-type": "application/json", ...headers },
  });
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what each test looks at.
  const answer = (await response.json()) as any;
  return { status: response.status, allow: response.headers.get("allow"), body: answer };
}

test.each([
  ["POST", "/nothing", 404, "tei", null],
  ["POST", "/v1/chat/completions", 404, "openai", null],
  ["POST", "/v1", 404, "openai", null],
  ["POST", "/v2/embed", 404, "cohere", null],
  ["POST", "/models/embedder/v2/embed", 404, "cohere", null],
  ["GET", "/models/embedder/health", 404, "tei", null],
  ["GET", "/v1/rerank", 405, "cohere", "POST"],
  ["PUT", "/models/embedder/v1/rerank", 405, "cohere", "POST"],
  ["GET", "/rerank", 405, "cohere", "POST"],
  ["GET", "/models/embedder/embed", 405, "tei", "POST"],
  ["POST", "/v1/models", 405, "openai", "GET"],
  ["DELETE", "/v1/models/embedder", 405, "openai", "GET"],
  ["DELETE", "/", 405, "tei", "GET, POST"],
  ["OPTIONS", "/embed", 405, "tei", "POST"],
  ["POST", "/v1/models/%ff", 400, "openai", null],
  ["POST", "/v2/%ff", 400, "cohere", null],
] as const)("%s %s: %i as %s says it, whatever the body is", async (method, path, status, dialect, allow) => {
  for (const body of [undefined, "{", "{}"]) {
    if (method === "GET" && body !== undefined) continue;
    expect(await send(method, path, body)).toEqual({ status, allow, body: forms[dialect] });
  }
});

test("a client that asks before it sends is told at once that nothing is there", async () => {
  const { port } = new URL(server.url);
  const received = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), "127.0.0.1");
    let text = "";
    socket.setEncoding("utf8").on("data", (some) => {
      text += some;
      if (text.includes("error_type")) socket.destroy();
    });
    socket.on("error", reject).on("close", () => resolve(text));
    socket.write(
      "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\n",
    );
    setTimeout(() => socket.destroy(), 3000).unref();
  });
  expect(received).toContain("HTTP/1.1 404 Not Found");
});

test("no body at all is an empty one; a compressed one is said to be that", async () => {
  const bare = await fetch(`${server.url}/v1/embeddings`, { method: "POST" });
  expect([bare.status, await bare.json()]).toEqual([
    400,
    { error: expect.objectContaining({ message: "The body is empty; JSON was expected", code: "invalid_body" }) },
  ]);
  const small = gzipSync('{"inputs":"a"}');
  const compressed = await send("POST", "/embed", small, { "content-encoding": "gzip" });
  expect(compressed).toMatchObject({ status: 415, body: { error: expect.stringContaining("compressed") } });
  const identity = await send("POST", "/embed", '{"inputs":"a"}', { "content-encoding": "identity" });
  expect(identity.status).toBe(200);
});

test("errors name the field of the API that was called", async () => {
  const long = "cat ".repeat(100);
  for (const input of [long, new Array(100).fill(7), [99_999]]) {
    const { status, body } = await send("POST", "/v1/embeddings", JSON.stringify({ input }));
    expect([status, body.error.param]).toEqual([400, "input"]);
  }
  expect((await send("POST", "/embed", JSON.stringify({ inputs: long }))).body.error).toMatch(
    /^inputs must have less than 33 tokens/,
  );
});

test("OPTIONS of others than browsers is no error where pages may call", async () => {
  const one = await createServer({ settings: { corsAllowOrigin: ["https://example.org"] } });
  const response = await one.app.inject({ method: "OPTIONS", url: "/embed" });
  expect([response.statusCode, response.body]).toEqual([204, ""]);
  expect(response.headers["access-control-allow-origin"]).not.toBe("*");
  await one.app.close();
  one.dispose();
});
