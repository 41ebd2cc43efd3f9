// Malformed requests: fuzzed bodies and headers, slow and cut connections. Each must get a documented status or a closed
// connection in time, and the server must go on as before.
import { connect } from "node:net";

export interface FuzzOptions {
  readonly port: number;
  readonly requests: number;
  /** Default 1. */
  readonly seed?: number;
  /** Connections at once. Default 64. */
  readonly connections?: number;
  /** Milliseconds after which a request counts as hanging. Default 20,000. */
  readonly patience?: number;
  onProgress?(done: number): void;
}

export interface FuzzResult {
  readonly requests: number;
  /** How often each status came; "cut" where the client cut the connection, "closed" where the server did. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** What must not be, with the request that did it. */
  readonly failures: readonly { readonly what: string; readonly request: string }[];
}

/** How an API refuses: the statuses that the description of the server names, and the shape of its bodies. */
interface Refusals {
  readonly statuses: ReadonlySet<number>;
  isBody(body: Record<string, unknown>): boolean;
}

const isText = (value: unknown): boolean => typeof value === "string";
const isTextOrNull = (value: unknown): boolean => value === null || isText(value);
const common = [400, 401, 404, 405, 413, 415, 429, 503, 504];

const refusals: Readonly<Record<"tei" | "openai" | "cohere" | "connection", Refusals>> = {
  tei: {
    statuses: new Set([...common, 422, 424]),
    isBody: (body) => isText(body.error) && isText(body.error_type),
  },
  openai: {
    statuses: new Set(common),
    isBody({ error }) {
      const { message, type, param, code } = (error ?? {}) as Record<string, unknown>;
      return isText(message) && isText(type) && isTextOrNull(param) && isTextOrNull(code);
    },
  },
  cohere: { statuses: new Set(common), isBody: ({ message }) => isText(message) },
  // Where no request could be read.
  connection: {
    statuses: new Set([400, 405, 408, 431]),
    isBody: (body) => isText(body.error) && isText(body.error_type),
  },
};

/** The API of a path; text-embeddings-inference's path for reranking speaks Cohere's too. */
function formsOf(path: string): readonly Refusals[] {
  const own = path.replace(/^\/models\/[^/]+/, "");
  if (/^(\/v1)?\/embeddings|^\/v1\/models/.test(own)) return [refusals.openai, refusals.connection];
  if (/^\/v[12]\/rerank/.test(own)) return [refusals.cohere, refusals.connection];
  if (own === "/rerank") return [refusals.tei, refusals.cohere, refusals.connection];
  return [refusals.tei, refusals.connection];
}

type Random = () => number;

/** mulberry32 */
function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

const paths = [
  "/embed",
  "/embed_all",
  "/embed_sparse",
  "/v1/embeddings",
  "/v1/rerank",
  "/v2/rerank",
  "/rerank",
  "/models/reranker/v1/rerank",
  "/predict",
  "/similarity",
  "/tokenize",
  "/decode",
  "/classify",
  "/ner",
  "/qa",
  "/fill-mask",
  "/search",
  "/",
  "/v1/models/a",
  "/models/x/embed",
  "/metrics",
  "/info",
  "/%00",
  "/embed?x=%ff",
  "//",
  "/nothing",
];

/** Requests that are right, to be spoilt. */
const right: readonly (readonly [path: string, body: object])[] = [
  ["/embed", { inputs: "the small cat" }],
  ["/embed", { inputs: ["a", "b"], truncate: false, normalize: true, dimensions: 4 }],
  ["/v1/embeddings", { input: ["a", "b"], encoding_format: "base64", dimensions: 8, user: "me" }],
  ["/rerank", { query: "cat", texts: ["a", "b"], raw_scores: true, return_text: true }],
  ["/v1/rerank", { query: "cat", documents: ["a", { text: "b" }], top_n: 1, return_documents: true }],
  [
    "/v2/rerank",
    { query: "cat", documents: [{ title: "a", year: 1 }, "b"], rank_fields: ["title"], max_tokens_per_doc: 3 },
  ],
  ["/embed", { inputs: ["a", [1, 2]], prompt_name: null, truncation_direction: "left" }],
  ["/embed_all", { inputs: [[1, 2], [3]] }],
  ["/predict", { inputs: [["a"], ["a", "b"]], raw_scores: true, model: "classifier" }],
  ["/classify", { inputs: ["a", { text: "b", pair: "c" }] }],
  ["/v1/embeddings", { input: [[1, 2], [3]], model: "embedder", encoding_format: "float" }],
  ["/similarity", { inputs: { source_sentence: "a", sentences: ["b", "c"] }, parameters: { truncate: true } }],
  ["/decode", { ids: [[1, 2, 3]], skip_special_tokens: false }],
  ["/tokenize", { inputs: ["a", "größe"], add_special_tokens: false }],
  ["/qa", { question: "where", context: "the cat sat on the mat" }],
  ["/fill-mask", { inputs: "the [MASK] cat", top: 3 }],
  ["/ner", { inputs: "Ada was born in London" }],
  ["/embed_sparse", { inputs: "the small cat" }],
  ["/search", { query: "cat", top: 3, filter: { year: { gte: 2000 } } }],
  [
    "/search",
    { query: "the cat", pipeline: "bm25", filter: { tag: ["a", "b"], lang: { not: "en" } }, highlight: false },
  ],
];

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)];

/** A value of no use. */
function junk(random: Random, depth = 0): unknown {
  const kinds = [
    () => null,
    () => random() < 0.5,
    () => pick(random, [0, -1, 1e308, 1.5, -0, 2 ** 53, 1e-320]),
    () =>
      pick(random, [
        "",
        "\u0000",
        "\ud800",
        "a".repeat(Math.floor(random() * 5000)),
        "🤷🏽‍♀️",
        "[MASK]",
        "../../etc/passwd",
      ]),
    () => Array.from({ length: Math.floor(random() * 40) }, () => (depth < 3 ? junk(random, depth + 1) : 0)),
    () => ({
      [pick(random, ["__proto__", "inputs", "constructor", "a", ""])]: depth < 3 ? junk(random, depth + 1) : 1,
    }),
    () => new Array(Math.floor(random() * 3000)).fill(pick(random, ["a", 1, null])),
  ];
  return pick(random, kinds)();
}

function spoiltBody(random: Random, given: object): Buffer {
  const body: Record<string, unknown> = { ...given };
  for (let i = 0; i < Math.floor(random() * 3); i++) {
    const field = pick(random, Object.keys(body));
    if (random() < 0.15) delete body[field];
    else if (random() < 0.6) body[field] = junk(random);
  }
  let text = JSON.stringify(body) ?? "";
  if (random() < 0.05) text = `${"[".repeat(5000)}${text}`;
  if (random() < 0.05) text = text.replaceAll(":", ": 1e999,");
  let bytes = Buffer.from(text);
  const how = random();
  if (how < 0.15) bytes = bytes.subarray(0, Math.floor(random() * bytes.length));
  else if (how < 0.3) {
    bytes = Buffer.from(bytes);
    for (let i = 0; i < 1 + Math.floor(random() * 8) && bytes.length > 0; i++) {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    }
  } else if (how < 0.33) bytes = Buffer.from(Array.from({ length: 200 }, () => Math.floor(random() * 256)));
  return bytes;
}

interface Attempt {
  /** Where it was sent to; undefined where it is no request. */
  readonly path?: string;
  readonly bytes: Buffer;
  /** Bytes after which the client is slow, or cuts. */
  readonly pause?: number;
  readonly cut?: boolean;
  /** The client closes its side when it has sent all: what is missing will not come. */
  readonly halfClosed?: boolean;
}

function attempt(random: Random): Attempt {
  if (random() < 0.03) {
    return {
      bytes: Buffer.from(Array.from({ length: 1 + Math.floor(random() * 300) }, () => Math.floor(random() * 256))),
    };
  }
  const [ownPath, given] = pick(random, right);
  const path = random() < 0.6 ? ownPath : pick(random, paths);
  const body = spoiltBody(random, given);
  const method =
    random() < 0.85
      ? "POST"
      : pick(random, ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "CONNECT", "FOO", "get", ""]);
  const version = random() < 0.98 ? "HTTP/1.1" : pick(random, ["HTTP/1.0", "HTTP/2.0", "HTTP/9", "HTTP"]);
  const headers = random() < 0.98 ? ["Host: a"] : [];
  if (random() < 0.9) headers.push("Content-Type: application/json");
  else
    headers.push(
      `Content-Type: ${pick(random, ["text/plain", "application/json; charset=utf-16", "", "application/json;", "multipart/form-data"])}`,
    );
  const length = random();
  let coded = body;
  if (length < 0.8) headers.push(`Content-Length: ${body.length}`);
  else if (length < 0.85)
    headers.push(`Content-Length: ${pick(random, ["-1", "abc", "99999999999999999999", "3000001", "0", "1, 2"])}`);
  else if (length < 0.88) headers.push(`Content-Length: ${body.length}`, `Content-Length: ${body.length + 1}`);
  else if (length < 0.95) {
    headers.push("Transfer-Encoding: chunked");
    coded = Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from("\r\n0\r\n\r\n")]);
    if (random() < 0.3) coded = Buffer.concat([Buffer.from("zz\r\n"), coded]);
  } else headers.push(`Transfer-Encoding: ${pick(random, ["gzip", "chunked, chunked", "identity", ""])}`);
  if (random() < 0.05)
    headers.push(`Authorization: ${pick(random, ["Bearer", "Basic x", `Bearer ${"a".repeat(3000)}`])}`);
  if (random() < 0.03) headers.push(`X: ${"a".repeat(Math.floor(random() * 40_000))}`);
  if (random() < 0.02)
    headers.push(pick(random, ["Expect: 100-continue", "Expect: nothing", "Content-Encoding: gzip"]));
  if (random() < 0.02)
    headers.push(pick(random, ["no colon", ": empty", "A\u0000: b", "Connection: upgrade", "Upgrade: websocket"]));
  const head = `${method} ${path} ${version}\r\n${headers.join("\r\n")}\r\nConnection: close\r\n\r\n`;
  const bytes = Buffer.concat([Buffer.from(head, "latin1"), coded]);
  const manner = random();
  if (manner < 0.06) return { path, bytes, pause: Math.floor(random() * bytes.length), cut: true };
  if (manner < 0.1) return { path, bytes, pause: Math.floor(random() * bytes.length) };
  return { path, bytes, halfClosed: manner < 0.2 };
}

/** Sends bytes; gives what came back, and how it ended. */
function send(port: number, { bytes, pause, cut = false, halfClosed = false }: Attempt, patience: number) {
  return new Promise<{ answer: string; ending: "answered" | "cut" | "hung" }>((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let answer = "";
    const finish = (ending: "answered" | "cut" | "hung") => {
      clearTimeout(timer);
      socket.destroy();
      // Interim answers are none.
      resolve({ answer: answer.replace(/^(HTTP\/1\.1 1\d\d [^\r]*\r\n\r\n)+/, ""), ending });
    };
    const timer = setTimeout(() => finish("hung"), patience);
    socket.setEncoding("latin1").on("data", (text) => {
      answer += text;
    });
    // A server that refuses may close before everything was sent.
    socket.on("error", () => finish("answered"));
    socket.on("close", () => finish("answered"));
    socket.on("connect", () => {
      if (pause === undefined) {
        if (halfClosed) socket.end(bytes);
        else socket.write(bytes);
        return;
      }
      socket.write(bytes.subarray(0, pause));
      setTimeout(() => (cut ? finish("cut") : socket.write(bytes.subarray(pause))), 15);
    });
  });
}

/** What is wrong with an answer; undefined when nothing is. */
function complaint(answer: string, path = "/"): string | undefined {
  if (answer === "") return undefined;
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
  const forms = status === 200 ? [] : formsOf(path.split("?")[0]).filter(({ statuses }) => statuses.has(status));
  if (status !== 200 && forms.length === 0) return `status ${status} is not documented for ${path}`;
  const [head, ...rest] = answer.split("\r\n\r\n");
  const body = rest.join("\r\n\r\n");
  if (
    status === 200 ||
    body === "" ||
    !/content-type: application\/json/i.test(head) ||
    /transfer-encoding/i.test(head)
  ) {
    return undefined;
  }
  try {
    const refusal = JSON.parse(Buffer.from(body, "latin1").toString("utf8"));
    return forms.some(({ isBody }) => isBody(refusal)) ? undefined : `an error in no form of ${path}`;
  } catch {
    return "an error that is no JSON";
  }
}

/** Sends malformed requests to a server on this machine. */
export async function fuzz({
  port,
  requests,
  seed = 1,
  connections = 64,
  patience = 20_000,
  onProgress,
}: FuzzOptions): Promise<FuzzResult> {
  const outcomes: Record<string, number> = {};
  const failures: { what: string; request: string }[] = [];
  let started = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (started < requests) {
      const random = randomOf(seed * 1_000_003 + started++);
      const tried = attempt(random);
      const { answer, ending } = await send(port, tried, patience);
      const status = /^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1];
      const outcome = ending === "answered" ? (status ?? "closed") : ending;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      const what =
        ending === "hung" ? "no answer in time" : ending === "cut" ? undefined : complaint(answer, tried.path);
      if (what !== undefined) failures.push({ what, request: tried.bytes.toString("latin1").slice(0, 500) });
      onProgress?.(++done);
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  return { requests: done, outcomes, failures };
}
