import { existsSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { compile, type Embedder, loadEmbedder, packSequences } from "cloze";
import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { checkpoint, onnxFolder, realTexts } from "../ours/embedding.js";
import { type Served, startCloze, startServer } from "../serving/process.js";

const suite = "serving";
const clients = 64;
const shortText = "how do I reset my password";

/** Servers that people write themselves, by what they do with requests that come together. */
const peerKinds = { one: "Fastify + transformers.js, one by one", batches: "Fastify + transformers.js, batches" };

const agent = new Agent({ keepAlive: true, maxSockets: clients });

/** The vector of a text. */
function embed({ url }: Served, text: string): Promise<number[]> {
  const body = JSON.stringify({ inputs: text });
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}/embed`, { method: "POST", agent, headers }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", reject).on("end", () => {
        const answer = Buffer.concat(chunks).toString("utf8");
        if (incoming.statusCode === 200) resolve((JSON.parse(answer) as number[][])[0]);
        else reject(new Error(`${url} answers ${incoming.statusCode}: ${answer.slice(0, 200)}`));
      });
    });
    outgoing.on("error", reject).end(body);
  });
}

/** All texts, by clients that send the next one when the last was answered. */
async function embedAll(server: Served, texts: readonly string[]): Promise<number[][]> {
  const vectors: number[][] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < texts.length) {
      const place = next++;
      vectors[place] = await embed(server, texts[place]);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return vectors;
}

async function timed(repeat: number, run: () => Promise<unknown>): Promise<number[]> {
  const milliseconds: number[] = [];
  for (let i = 0; i < repeat; i++) {
    const start = performance.now();
    await run();
    milliseconds.push(performance.now() - start);
  }
  return milliseconds;
}

/** @throws Error where two servers do not give the same vectors */
function checkEqual(name: string, ours: readonly number[][], theirs: readonly number[][]): void {
  const worst = Math.max(...ours.flatMap((vector, i) => vector.map((value, d) => Math.abs(value - theirs[i][d]))));
  if (!(worst < 1e-4)) throw new Error(`${name} gives other vectors: they differ by ${worst}`);
  harness.note(`${name}: vectors differ from ours by at most ${worst.toExponential(1)}`);
}

/** A short text through the plan alone, as the server runs it. */
function planAlone({ model, tokenizer }: Embedder) {
  const plan = compile(model, { outputs: "pooled", pooling: "mean" });
  const batch = packSequences([{ ids: tokenizer.encodeIds(shortText) }]);
  return { take: (repeat: number) => timed(repeat, () => plan.run(batch)), close: plan.close };
}

/** Real texts that no server has to cut: transformers.js cuts the last special token off with the rest. */
function fittingTexts({ tokenizer, options }: Embedder, count: number): string[] {
  const fits = (text: string) => tokenizer.encodeIds(text, { truncation: false }).length <= options.maxLength;
  return realTexts(2 * count)
    .filter(fits)
    .slice(0, count);
}

/**
 * `cloze serve` beside what people write themselves, with the checkpoint of ../shared: texts per second by 64 clients, each
 * request one real text, and the time of one short text when nobody else asks, also above the plan's own time. The case
 * "128 texts" is for trying things and runs only when it is asked for.
 */
export async function serving({ peersOnly, only }: Options): Promise<Row[]> {
  if (!existsSync(checkpoint)) {
    harness.note(`${checkpoint} is not here, so there is nothing to serve`);
    return [];
  }
  const embedder = loadEmbedder(checkpoint);
  const servers = new Map<string, Served>();
  if (!peersOnly) servers.set("ours", await startCloze(["--model", checkpoint]));
  if (harness.installed("transformers.js")) {
    const folder = await onnxFolder();
    const script = join(harness.root, "bench", "peers", "embedding-server.mjs");
    for (const [kind, name] of Object.entries(peerKinds)) {
      servers.set(name, await startServer(process.execPath, [script, kind, folder], harness.peerEnvironment()));
    }
  }
  const contenders = (run: (server: Served) => Promise<unknown>): harness.Contender[] =>
    [...servers].map(([name, server]) => ({ name, take: (repeat) => timed(repeat, () => run(server)) }));
  const rows: Row[] = [];
  try {
    const sample = fittingTexts(embedder, 64);
    const ours = servers.get("ours");
    const expected = ours && (await embedAll(ours, sample));
    for (const [name, server] of servers) {
      if (server !== ours && expected !== undefined) checkEqual(name, expected, await embedAll(server, sample));
    }
    for (const count of [128, 512]) {
      const name = `${count} texts, ${clients} at once`;
      if (only === "" ? count < 512 : !name.startsWith(only)) continue;
      const texts = fittingTexts(embedder, count);
      const medians = await harness.interleave(
        contenders((server) => embedAll(server, texts)),
        { seconds: 1, minimumRounds: count < 512 ? 1 : 3, warmed: true },
      );
      rows.push(...harness.rowsOf(suite, name, medians, { unit: "texts/s", work: 1000 * count }));
    }
    const name = "one short text";
    if (name.startsWith(only)) {
      const plan = ours && planAlone(embedder);
      const all = contenders((server) => embed(server, shortText));
      if (plan !== undefined) all.push({ name: "plan", take: plan.take });
      // As often in a row for each: a difference of two medians says nothing where one has more cold runs.
      const medians = await harness.interleave(all, { seconds: 10, repeat: 30 });
      plan?.close();
      const [mine, alone] = [medians.get("ours"), medians.get("plan")];
      medians.delete("plan");
      rows.push(...harness.rowsOf(suite, name, medians));
      if (mine !== undefined && alone !== undefined) {
        const above = mine - alone;
        const floor = { peer: 1.5, peerName: "the floor of the project", unit: "ms", ratio: 1.5 / above, ofPeak: null };
        rows.push({ suite, case: `${name}, above the plan's own ${alone.toFixed(2)} ms`, ours: above, ...floor });
      }
    }
  } finally {
    agent.destroy();
    embedder.dispose();
    for (const server of servers.values()) await server.end();
  }
  return rows;
}
