// HTTP that clients seldom speak, on a connection: each gets a status with a body in the API's form, or its answer.
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyModel } from "../../../test/tiny-models.js";
import { type ClozeServer, serve } from "../server.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-odd-http-"));
let server: ClozeServer;
beforeAll(async () => {
  server = await serve({ models: [{ folder: writeTinyModel(folder, "embedder") }], port: 0 });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** What comes back until the server closes. */
function raw(...chunks: (string | Buffer)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    let received = "";
    socket.setEncoding("utf8").on("data", (text) => {
      received += text;
    });
    socket.on("error", reject).on("close", () => resolve(received));
    for (const chunk of chunks) socket.write(chunk);
  });
}
async function ask(...chunks: (string | Buffer)[]): Promise<Answer> {
  const [head, ...rest] = (await raw(...chunks)).split("\r\n\r\n");
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), head, body: rest.join("\r\n\r\n") };
}

const json = JSON.stringify({ inputs: "the small cat" });
const post = (headers: readonly string[], body: string | Buffer = json, version = "1.1", path = "/embed") =>
  [
    `POST ${path} HTTP/${version}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers.map((line) => `${line}\r\n`).join("")}\r\n`,
    body,
  ] as const;
const last = ["Host: a", "Connection: close"];

test("no Host: 400 where HTTP asks for one, with words", async () => {
  for (const [path, form] of [
    ["/embed", { error: expect.stringContaining("Host"), error_type: "Validation" }],
    ["/v1/embeddings", { error: expect.objectContaining({ message: expect.stringContaining("Host") }) }],
    ["/v1/rerank", { message: expect.stringContaining("Host") }],
    ["/nothing", { error: expect.stringContaining("Host"), error_type: "Validation" }],
  ] as const) {
    const { status, body } = await ask(...post(["Connection: close"], json, "1.1", path));
    expect([status, JSON.parse(body)]).toEqual([400, form]);
  }
  expect(await ask(...post([], json, "1.0"))).toMatchObject({ status: 200 });
});
test("expectations: 100-continue is told to go on, others are not heeded", async () => {
  expect(await raw(...post([...last, "Expect: 100-continue"]))).toMatch(
    /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/,
  );
  expect(await ask(...post([...last, "Expect: something"]))).toMatchObject({ status: 200 });
});
test("CONNECT: 405, and the server goes on", async () => {
  const { status, head, body } = await ask("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n");
  expect([status, JSON.parse(body)]).toEqual([405, { error: "Method Not Allowed", error_type: "MethodNotAllowed" }]);
  expect(head).toMatch(/^allow: GET, POST$/im);
});
test("a refused connection is closed, though its client keeps its side open", async () => {
  const open = () => new Promise<number>((resolve) => server.app.server.getConnections((_, count) => resolve(count)));
  for (const [said, status] of [
    ["CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\nand more", 405],
    ["no HTTP\r\n\r\n", 400],
  ] as const) {
    await expect.poll(open, { timeout: 5000 }).toBe(0);
    const socket = connect({ port: Number(new URL(server.url).port), host: "127.0.0.1", allowHalfOpen: true });
    let received = "";
    socket.setEncoding("utf8").on("data", (text) => {
      received += text;
    });
    // What comes later may meet a closed door.
    socket.on("error", () => {});
    socket.write(said);
    await expect.poll(() => received, { timeout: 5000 }).toContain(`HTTP/1.1 ${status}`);
    await expect.poll(open, { timeout: 5000 }).toBe(0);
    socket.destroy();
  }
});
test("codings of a body: none may be said, others are refused", async () => {
  for (const coding of ["identity", "Identity", ""])
    expect(await ask(...post([...last, `Content-Encoding: ${coding}`]))).toMatchObject({ status: 200 });
  for (const coding of ["gzip", "br", "identity, gzip"]) {
    const { status, body } = await ask(...post([...last, `Content-Encoding: ${coding}`], gzipSync(json)));
    expect([status, JSON.parse(body).error_type]).toEqual([415, "Validation"]);
  }
});
test("HEAD, OPTIONS, TRACE and unknown methods of HTTP", async () => {
  expect(await ask("HEAD /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).toMatchObject({
    status: 200,
    body: "",
  });
  expect(await ask("HEAD /embed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).toMatchObject({
    status: 405,
    body: "",
  });
  for (const method of ["OPTIONS", "TRACE", "PROPFIND"]) {
    const { status, head, body } = await ask(`${method} /embed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect([status, JSON.parse(body).error_type]).toEqual([405, "MethodNotAllowed"]);
    expect(head).toMatch(/^allow: POST$/im);
  }
});
test("requests in a row on one connection are answered in their order, right ones and wrong ones", async () => {
  const other = JSON.stringify({ inputs: "a large dog" });
  const received = await raw(
    Buffer.concat(
      [...post(["Host: a"]), ...post(["Host: a"], "{wrong"), ...post(["Host: a"], other), ...post(last)].map((part) =>
        Buffer.from(part),
      ),
    ),
  );
  expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 400", "HTTP/1.1 200", "HTTP/1.1 200"]);
  const bodies = received.match(/^\[\[.*?\]\]/gm) ?? [];
  expect(bodies).toHaveLength(3);
  expect(bodies[2]).toBe(bodies[0]);
  expect(bodies[1]).not.toBe(bodies[0]);
});
test("a path is not repeated in full", async () => {
  const { status, body } = await ask(`GET /${"a".repeat(9000)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  expect(status).toBe(404);
  expect(body.length).toBeLessThan(300);
});
