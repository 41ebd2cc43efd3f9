import { execFile } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { checkpoint, onnxFolder, prepareEmbedding, realPairs, realTexts, trainingSteps } from "../ours/embedding.js";

const execute = promisify(execFile);
const peerNames = ["sentence-transformers", "fastembed", "transformers.js"] as const;

/** Rows of `a` against the same rows of `b`: the smallest cosine. */
function smallestCosine(a: Float32Array, b: Float32Array, width: number): number {
  let smallest = 1;
  for (let start = 0; start < Math.min(a.length, b.length); start += width) {
    let [dot, x, y] = [0, 0, 0];
    for (let c = start; c < start + width; c++) {
      dot += a[c] * b[c];
      x += a[c] * a[c];
      y += b[c] * b[c];
    }
    if (x > 0 && y > 0) smallest = Math.min(smallest, dot / Math.sqrt(x * y));
  }
  return smallest;
}

/**
 * Texts per second with the checkpoint of ../shared: 500 real texts (`-- embedding 10000`: as many as that, in some 30 minutes), by
 * our embedder in float32 and in 8 bits, sentence-transformers, fastembed and transformers.js. Peers run in batches of 32.
 */
export async function embedding({ peersOnly, only }: Options): Promise<Row[]> {
  if (!existsSync(checkpoint)) {
    harness.note(`${checkpoint} is not here, so there is nothing to embed with`);
    return [];
  }
  const rows: Row[] = [];
  for (const count of [500, 10_000]) {
    const name = `${count} texts, MiniLM 6x384`;
    if (!name.startsWith(only === "" ? "500" : only)) continue;
    const texts = realTexts(count);
    const file = harness.scratch(`texts-${count}.json`);
    writeFileSync(file, JSON.stringify(texts));
    const contenders: harness.Contender[] = [];
    const closing: (() => void)[] = [];
    let own: Float32Array | undefined;
    if (!peersOnly) {
      const [float32, int8] = [prepareEmbedding(texts), prepareEmbedding(texts, "int8")];
      contenders.push(harness.ourContender(float32), { ...harness.ourContender(int8), name: "cloze int8" });
      [own] = await float32.outputs!();
      const [codes] = await int8.outputs!();
      harness.note(`cloze int8: cosine to float32 at least ${smallestCosine(codes, own, 384).toFixed(5)}`);
      closing.push(
        () => float32.close?.(),
        () => int8.close?.(),
      );
    }
    const onnx = await onnxFolder();
    for (const peer of peerNames) {
      const server = harness.startPeer(peer);
      if (server === undefined) continue;
      const folder = peer === "sentence-transformers" ? checkpoint : onnx;
      const request = { cmd: "prepare", kind: "embedding", folder, texts: file, limit: 256 };
      const reply = await server.ask({ ...request, out: harness.scratch(peer) });
      if (own !== undefined && reply.outputs !== undefined) {
        const cosine = smallestCosine(harness.readFloats(reply.outputs[0]), own, 384);
        harness.note(`${reply.version}: cosine to ours at least ${cosine.toFixed(5)}`);
      }
      contenders.push(harness.contender(server));
      closing.push(() => server.close());
    }
    // Everyone has embedded some texts already, for the comparison.
    const medians = await harness.interleave(contenders, { seconds: 1, warmed: true });
    rows.push(...harness.rowsOf("embedding", name, medians, { unit: "texts/ms", work: count }));
    for (const close of closing) close();
  }
  return rows;
}

const batch = 64;
const length = 256;
/** Steps of one side before the other has its turn. */
const stepsOfRound = 3;

/** A step of training with multiple negatives, 6×384, batch 64, on pairs of STS-B; and its peak memory. */
export async function embeddingTraining({ peersOnly, only }: Options): Promise<Row[]> {
  if (!existsSync(checkpoint)) {
    harness.note(`${checkpoint} is not here, so there is nothing to train`);
    return [];
  }
  const pairs = realPairs();
  const rows: Row[] = [];
  const steps = only === "" ? 12 : Math.max(1, Number(only) || 3);
  const name = `multiple negatives, 6x384, batch ${batch}`;
  const server = harness.startPeer("sentence-transformers");
  const times = new Map<string, number[]>();
  const take = (who: string, milliseconds: readonly number[]) =>
    times.set(who, [...(times.get(who) ?? []), ...milliseconds]);
  if (server !== undefined) {
    const file = harness.scratch("pairs.json");
    writeFileSync(file, JSON.stringify(pairs.map(({ query, document }) => [query, document])));
    const request = { cmd: "prepare", kind: "training", folder: checkpoint, pairs: file, batch, length };
    harness.note((await server.ask(request)).version ?? "");
  }
  // In turn, a few steps each: ours begins anew each time, and leaves its first steps out.
  for (let done = 0; done < steps; done += stepsOfRound) {
    const repeat = Math.min(stepsOfRound, steps - done);
    if (server !== undefined) take("sentence-transformers", (await server.ask({ cmd: "run", repeat })).milliseconds!);
    if (!peersOnly) take("ours", await trainingSteps(pairs, batch, repeat));
  }
  server?.close();
  const medians = new Map([...times].map(([who, values]) => [who, harness.median(values)]));
  rows.push(...harness.rowsOf("embedding-training", name, medians));

  const job = { folder: checkpoint, batch, length, steps: 3 };
  const peakOf = async (command: string, args: string[], more: object, environment: NodeJS.ProcessEnv) => {
    const file = harness.scratch("embedding-memory.json");
    writeFileSync(file, JSON.stringify({ ...job, ...more }));
    const { stdout } = await execute(command, [...args, file], { env: environment, maxBuffer: 1 << 24 });
    const { peakBytes, librariesBytes } = JSON.parse(stdout.trim().split("\n").at(-1)!);
    if (librariesBytes !== undefined)
      harness.note(`sentence-transformers: ${Math.round(librariesBytes / 2 ** 20)} MiB are its libraries`);
    return peakBytes / 2 ** 20;
  };
  const child = fileURLToPath(new URL("../ours/embedding-memory-child.js", import.meta.url));
  const ours = peersOnly ? null : await peakOf(process.execPath, [child], {}, process.env);
  if (harness.installed("sentence-transformers")) {
    const script = join(harness.root, "bench", "peers", "sentence_transformers_server.py");
    const texts = { pairs: pairs.map(({ query, document }) => [query, document]) };
    const peer = await peakOf(harness.python, [script, "--memory"], texts, harness.peerEnvironment());
    const ratio = ours === null ? null : peer / ours;
    const peerName = "sentence-transformers";
    rows.push({ suite: "embedding-training", case: name, ours, peer, peerName, unit: "MiB", ratio, ofPeak: null });
  }
  return rows;
}
