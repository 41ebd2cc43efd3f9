// `node build/bench/serving/soak.js --model FOLDER [--minutes 5] [--texts FILE] [--batch 8]`: asks `cloze serve`, as it is
// without options, for twice what it can do. Every answer must be right or 429 with Retry-After, none may be lost, memory
// must stay flat, the slowest percent of what was accepted must take less than three times what a request takes without a
// queue, and four fifths of what can be done must be accepted. Prints one JSON object; exit status 1 where one of these does
// not hold.
import { existsSync, readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { parseArgs } from "node:util";
import { scope } from "@cloze/tensor";
import { loadEmbedder } from "cloze";
import { type Served, startCloze } from "./process.js";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    minutes: { type: "string", default: "5" },
    texts: { type: "string" },
    /** Texts of a request. */
    batch: { type: "string", default: "8" },
  },
});
const [seconds, batch] = [60 * Number(values.minutes), Number(values.batch)];
if (values.model === undefined || !(seconds > 0) || !(batch >= 1)) {
  console.error("Usage: node build/bench/serving/soak.js --model FOLDER [--minutes 5] [--texts FILE] [--batch 8]");
  process.exit(2);
}

/** Real texts where a file of them is named, one a line; else made ones of different length. */
function readTexts(): string[] {
  if (values.texts !== undefined && existsSync(values.texts)) {
    return readFileSync(values.texts, "utf8")
      .split("\n")
      .filter((line) => line.trim() !== "")
      .slice(0, 512);
  }
  const words = "the stock market fell after a quiet day while small cats sat on warm mats near the old river".split(
    " ",
  );
  return Array.from({ length: 512 }, (_, i) =>
    Array.from({ length: 8 + ((i * 7) % 40) }, (_, w) => words[(i * 5 + w * 3) % words.length]).join(" "),
  );
}

interface Outcome {
  readonly status: number;
  readonly milliseconds: number;
  readonly right: boolean;
  readonly retryAfter: boolean;
  /** What the server says of it, in milliseconds. */
  readonly queueTime: number;
  readonly inferenceTime: number;
}

const texts = readTexts();
const embedder = loadEmbedder(values.model);
const width = embedder.width;
const expected = scope(() => embedder.embed(texts).toTypedArray() as Float32Array);
embedder.dispose();
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

/** Sends the texts of request `i`; status 0: no answer came. */
function ask({ url }: Served, i: number): Promise<Outcome> {
  const places = Array.from({ length: batch }, (_, t) => (i * batch + t) % texts.length);
  const body = JSON.stringify({ input: places.map((place) => texts[place]), encoding_format: "base64" });
  const start = performance.now();
  return new Promise((resolve) => {
    const nothing = { status: 0, right: false, retryAfter: false, queueTime: 0, inferenceTime: 0 };
    const lost = () => resolve({ ...nothing, milliseconds: performance.now() - start });
    const outgoing = request(
      `${url}/v1/embeddings`,
      {
        method: "POST",
        agent,
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      },
      (incoming) => {
        let text = "";
        incoming.setEncoding("utf8").on("data", (chunk) => {
          text += chunk;
        });
        incoming.on("error", lost).on("end", () => {
          const milliseconds = performance.now() - start;
          const status = incoming.statusCode ?? 0;
          resolve({
            status,
            milliseconds,
            right: status === 200 && isRight(text, places),
            retryAfter: incoming.headers["retry-after"] !== undefined,
            queueTime: Number(incoming.headers["x-queue-time"] ?? 0),
            inferenceTime: Number(incoming.headers["x-inference-time"] ?? 0),
          });
        });
      },
    );
    outgoing.on("error", lost);
    outgoing.end(body);
  });
}

/** Whether an answer holds the vectors of these texts, as the library gives them. */
function isRight(text: string, places: readonly number[]): boolean {
  const { data } = JSON.parse(text) as { data: { embedding: string }[] };
  return places.every((place, t) => {
    const bytes = Buffer.from(data[t].embedding, "base64");
    if (bytes.length !== 4 * width) return false;
    for (let d = 0; d < width; d++) {
      if (Math.abs(bytes.readFloatLE(4 * d) - expected[place * width + d]) > 1e-4) return false;
    }
    return true;
  });
}

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
const sortedTimes = (
  outcomes: readonly Outcome[],
  field: "milliseconds" | "queueTime" | "inferenceTime" = "milliseconds",
) => outcomes.map((outcome) => outcome[field]).sort((a, b) => a - b);
const spread = (sorted: readonly number[]) => ({ p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) });

/** How long a request takes alone, and how many a second the server can do. */
async function calibrate(server: Served) {
  const alone: Outcome[] = [];
  for (let i = 0; i < 60; i++) alone.push(await ask(server, i));
  const queueFree = percentile(sortedTimes(alone.slice(10)), 0.5);
  const span = Math.min(10, Math.max(3, seconds / 10));
  let done = 0;
  const end = performance.now() + 1000 * span;
  const client = async (which: number): Promise<void> => {
    for (let i = which; performance.now() < end; i += 16) if ((await ask(server, i)).status === 200) done++;
  };
  await Promise.all(Array.from({ length: 16 }, (_, which) => client(which)));
  return { queueFree, rate: done / span };
}

const first = await startCloze(["--model", values.model]);
const { queueFree, rate } = await calibrate(first);
await first.end();
console.error(
  `alone ${queueFree.toFixed(1)} ms, at most ${rate.toFixed(1)} requests/s; now ${(2 * rate).toFixed(1)}/s for ${seconds} s`,
);

const server = await startCloze(["--model", values.model]);
for (let i = 0; i < 30; i++) await ask(server, i);
const outcomes: Promise<Outcome>[] = [];
const memory: { second: number; bytes: number }[] = [];
const start = performance.now();
let next = 0;
let nextSample = 0;
while (next < 1000 * seconds) {
  const now = performance.now() - start;
  // Requests come at random, as from many clients who know nothing of each other.
  while (next <= now) {
    outcomes.push(ask(server, outcomes.length));
    next += (-Math.log(1 - Math.random()) * 1000) / (2 * rate);
  }
  if (now >= nextSample) {
    const bytes = server.memory();
    if (bytes !== undefined) memory.push({ second: Math.round(now / 1000), bytes });
    nextSample += 1000 * Math.max(1, seconds / 60);
  }
  await new Promise((resolve) => setTimeout(resolve, Math.max(1, Math.min(20, next - now))));
}
const all = await Promise.all(outcomes);
const alive = server.alive();
const status = await server.end();
agent.destroy();

const accepted = all.filter((outcome) => outcome.status === 200);
const refused = all.filter((outcome) => outcome.status === 429);
const times = sortedTimes(accepted);
// Memory grows until every kind of batch was seen; from then on it must stay.
const settled = memory.slice(Math.floor(memory.length / 3)).map(({ bytes }) => bytes);
const middle = Math.floor(settled.length / 2);
const mean = (list: readonly number[]): number =>
  list.reduce((sum, bytes) => sum + bytes, 0) / Math.max(1, list.length);
const growth = mean(settled.slice(middle)) / mean(settled.slice(0, middle)) - 1;
const verdict = {
  wrongAnswers: accepted.filter(({ right }) => !right).length,
  lost: all.filter((outcome) => outcome.status !== 200 && outcome.status !== 429).length,
  refusedWithoutRetryAfter: refused.filter(({ retryAfter }) => !retryAfter).length,
  p99OverQueueFree: percentile(times, 0.99) / queueFree,
  acceptedShare: accepted.length / seconds / rate,
  memoryGrowth: growth,
};
const good =
  alive &&
  status === 0 &&
  verdict.wrongAnswers === 0 &&
  verdict.lost === 0 &&
  verdict.refusedWithoutRetryAfter === 0 &&
  verdict.p99OverQueueFree < 3 &&
  verdict.acceptedShare > 0.8 &&
  verdict.memoryGrowth < 0.05;
console.log(
  JSON.stringify({
    good,
    ...verdict,
    seconds,
    requests: all.length,
    accepted: accepted.length,
    refused: refused.length,
    sustainableRate: rate,
    acceptedRate: accepted.length / seconds,
    queueFree,
    milliseconds: spread(times),
    queueTime: spread(sortedTimes(accepted, "queueTime")),
    inferenceTime: spread(sortedTimes(accepted, "inferenceTime")),
    refusalTime: spread(sortedTimes(refused)),
    memory,
    status,
  }),
);
process.exitCode = good ? 0 : 1;
