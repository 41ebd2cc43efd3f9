// What every suite uses: our side as a Job, peers as servers that stay alive, both measured in turn in one run.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The repository; this file runs from build/bench/. */
export const root = fileURLToPath(new URL("../../", import.meta.url));
export const peersFolder = join(root, ".peers");
export const cacheFolder = join(peersFolder, "cache");
export const threads = 2;

/** One comparison. `ratio` > 1 means that we are better, whatever the unit. */
export interface Row {
  suite: string;
  case: string;
  ours: number | null;
  peer: number | null;
  peerName: string;
  unit: string;
  ratio: number | null;
  /** Our part of the machine's measured multiply-add peak, where the work is counted in operations. */
  ofPeak: number | null;
}

/** Our side of a case. `outputs` is what the peers' outputs are compared with. */
export interface Job {
  run(): void | Promise<void>;
  outputs?(): Float32Array[] | Promise<Float32Array[]>;
  /** The loss on the given batch with dropout off, for training cases. */
  loss?(): number | Promise<number>;
  close?(): void;
}

export interface Options {
  /** Measures the peers and leaves our side out. */
  peersOnly: boolean;
  /** Only cases whose name holds this; empty: all. */
  only: string;
}

/** What a peer answers to `prepare`. */
interface Reply {
  ok: boolean;
  error?: string;
  version?: string;
  outputs?: string[];
  loss?: number;
  ids?: number[];
  milliseconds?: number[];
  gflops?: number;
  gigabytes?: number;
  isa?: string;
}

const warned = new Set<string>();
/** A line on standard error, once. */
export function note(line: string): void {
  if (warned.has(line)) return;
  warned.add(line);
  console.error(line);
}

/** A child process that answers one line of JSON to each line of JSON. */
export class Server {
  readonly #child: ChildProcess;
  readonly #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = [];
  readonly name: string;

  constructor(name: string, command: string, args: string[], environment: NodeJS.ProcessEnv) {
    this.name = name;
    this.#child = spawn(command, args, { env: environment, stdio: ["pipe", "pipe", "pipe"] });
    let errors = "";
    this.#child.stderr!.on("data", (chunk) => {
      errors = (errors + chunk).slice(-4000);
    });
    createInterface({ input: this.#child.stdout! }).on("line", (line) =>
      this.#waiting.shift()?.resolve(JSON.parse(line)),
    );
    const fail = (reason: string): void => {
      for (const { reject } of this.#waiting.splice(0))
        reject(new Error(`${name} ${reason}${errors ? `:\n${errors}` : ""}`));
    };
    this.#child.on("error", (error) => fail(error.message));
    this.#child.on("exit", (code, signal) => fail(`ended (${signal ?? code})`));
    this.#child.stdin!.on("error", () => {});
  }

  ask(request: Record<string, unknown>): Promise<Reply> {
    return new Promise<Reply>((resolve, reject) => {
      if (this.#child.exitCode !== null) return reject(new Error(`${this.name} has ended`));
      this.#waiting.push({ resolve, reject });
      this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    }).then((reply) => {
      if (!reply.ok) throw new Error(`${this.name}: ${reply.error}`);
      return reply;
    });
  }

  close(): void {
    this.#child.stdin!.end();
    this.#child.kill();
  }
}

/** The environment of a peer: two threads, and OpenBLAS not held to the kernel that this process was told. */
export function peerEnvironment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { OPENBLAS_CORETYPE, OPENBLAS_L2_SIZE, ...own } = process.env;
  return {
    ...own,
    OMP_NUM_THREADS: String(threads),
    MKL_NUM_THREADS: String(threads),
    OPENBLAS_NUM_THREADS: String(threads),
    RAYON_NUM_THREADS: String(threads),
    TOKENIZERS_PARALLELISM: "true",
    ...more,
  };
}

/**
 * The kernel that OpenBLAS is told. Debian's release takes an Intel processor that is newer than itself for one of 2004
 * ("Prescott", a tenth of the speed), which would be no peer; others it knows.
 */
function openblasKernel(): NodeJS.ProcessEnv {
  const processor = existsSync("/proc/cpuinfo") ? readFileSync("/proc/cpuinfo", "utf8") : "";
  if (!processor.includes("GenuineIntel")) return {};
  if (/\bavx512f\b/.test(processor)) return { OPENBLAS_CORETYPE: "SkylakeX" };
  return /\bavx2\b/.test(processor) ? { OPENBLAS_CORETYPE: "Haswell" } : {};
}

export const python = join(peersFolder, "py", "bin", "python");
const script = (name: string): string => join(root, "bench", "peers", name);
const nodePeer = (name: string): string => join(peersFolder, "node", "node_modules", name, "package.json");

/** Each peer: the file whose absence means that it is not installed, and how it starts. */
const peers: Record<string, { needs: string[]; command: string; args: string[]; environment?: NodeJS.ProcessEnv }> = {
  peak: { needs: [join(peersFolder, "bin", "peak")], command: join(peersFolder, "bin", "peak"), args: [] },
  openblas: {
    needs: [join(peersFolder, "bin", "openblas")],
    command: join(peersFolder, "bin", "openblas"),
    args: [],
    environment: openblasKernel(),
  },
  pytorch: { needs: [python], command: python, args: [script("pytorch.py")] },
  numpy: { needs: [python], command: python, args: [script("nearest.py")] },
  faiss: { needs: [python], command: python, args: [script("nearest.py")] },
  "onnxruntime-node": {
    needs: [nodePeer("onnxruntime-node")],
    command: process.execPath,
    args: [script("onnxruntime.mjs")],
  },
  "onnxruntime-web, 1 thread": {
    needs: [nodePeer("onnxruntime-web")],
    command: process.execPath,
    args: [script("onnxruntime-web.mjs")],
    environment: { OMP_NUM_THREADS: "1" },
  },
  "onnxruntime-web, 2 threads": {
    needs: [nodePeer("onnxruntime-web")],
    command: process.execPath,
    args: [script("onnxruntime-web.mjs")],
    environment: { OMP_NUM_THREADS: "2" },
  },
  "sentence-transformers": {
    needs: [python, join(peersFolder, "py", "bin", "accelerate")],
    command: python,
    args: [script("sentence_transformers_server.py")],
  },
  fastembed: {
    needs: [nodePeer("fastembed")],
    command: process.execPath,
    args: [script("node-embedders.mjs"), "fastembed"],
  },
  "transformers.js": {
    needs: [nodePeer("@huggingface/transformers")],
    command: process.execPath,
    args: [script("node-embedders.mjs"), "transformers"],
  },
  "@huggingface/tokenizers": {
    needs: [nodePeer("@huggingface/tokenizers")],
    command: process.execPath,
    args: [script("tokenizers.mjs")],
  },
  "tokenizers (python)": { needs: [python], command: python, args: [script("tokenizers_server.py")] },
  "tokenizers (python, 1 thread)": {
    needs: [python],
    command: python,
    args: [script("tokenizers_server.py")],
    environment: { RAYON_NUM_THREADS: "1" },
  },
};

const open = new Set<Server>();

/** True when the peer is there; says how to get it when not. */
export function installed(name: string, ...alsoNeeds: string[]): boolean {
  const missing = [...peers[name].needs, ...alsoNeeds].find((file) => !existsSync(file));
  if (missing !== undefined) note(`${name} is not installed and is left out: run \`npm run bench:setup\``);
  return missing === undefined;
}

/** Starts a peer, or returns undefined after a line that says how to install it. */
export function startPeer(name: string, ...alsoNeeds: string[]): Server | undefined {
  if (!installed(name, ...alsoNeeds)) return undefined;
  const { command, args, environment } = peers[name];
  const server = new Server(name, command, args, peerEnvironment(environment));
  open.add(server);
  return server;
}

let scratchFolder: string | undefined;
/** A path for a file that the peers read or write; gone when the run ends. */
export function scratch(name: string): string {
  if (scratchFolder === undefined) {
    mkdirSync(cacheFolder, { recursive: true });
    scratchFolder = mkdtempSync(join(cacheFolder, "run-"));
  }
  return join(scratchFolder, name);
}

export function closeEverything(): void {
  for (const server of open) server.close();
  open.clear();
  if (scratchFolder !== undefined) rmSync(scratchFolder, { recursive: true, force: true });
  scratchFolder = undefined;
}

export function writeFloats(name: string, values: Float32Array): string {
  const path = scratch(name);
  writeFileSync(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return path;
}
export function readFloats(path: string): Float32Array {
  const bytes = readFileSync(path);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** Someone whose time is taken: `take` runs the work `repeat` times and returns each time in milliseconds. */
export interface Contender {
  name: string;
  take(repeat: number): Promise<number[]>;
}
export const contender = (server: Server, name = server.name): Contender => ({
  name,
  take: async (repeat) => (await server.ask({ cmd: "run", repeat })).milliseconds!,
});
export const ourContender = (job: Job): Contender => ({
  name: "ours",
  async take(repeat) {
    const times: number[] = [];
    for (let i = 0; i < repeat; i++) {
      const start = performance.now();
      const pending = job.run();
      if (pending !== undefined) await pending;
      times.push(performance.now() - start);
    }
    return times;
  },
});

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Takes everyone's time in turn, round after round, until the time is used up; returns each one's median in milliseconds.
 * A pause between two (`rest`, in milliseconds) lets the other's worker threads stop spinning; where both are ours, there
 * are no others. The order turns each round. Work that takes longer than a round, and that all have done once before
 * (`warmed`), is done once a round. With `repeat` all do it as often in a round, so that the first time after others had
 * the caches counts as much for each.
 */
export async function interleave(
  contenders: readonly Contender[],
  {
    seconds,
    minimumRounds = 3,
    warmed = false,
    rest = 60,
    repeat,
  }: { seconds: number; minimumRounds?: number; warmed?: boolean; rest?: number; repeat?: number },
): Promise<Map<string, number>> {
  const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  const repeats = new Map<string, number>();
  const start = performance.now();
  for (const { name, take } of contenders) {
    if (warmed) {
      repeats.set(name, 1);
      continue;
    }
    await pause(rest);
    const first = (await take(1))[0];
    // The first was a warm-up. Short work repeats within a round for about 60 ms.
    repeats.set(name, repeat ?? Math.max(1, Math.min(200, Math.round(60 / Math.max(first, 0.01)))));
  }
  const end = start + seconds * 1000;
  for (let round = 0; round < minimumRounds || performance.now() < end; round++) {
    for (let i = 0; i < contenders.length; i++) {
      const { name, take } = contenders[(i + round) % contenders.length];
      await pause(rest);
      times.get(name)!.push(...(await take(repeats.get(name)!)));
    }
    if (round >= 60) break;
  }
  return new Map([...times].map(([name, taken]) => [name, median(taken)]));
}

/** The machine's multiply-add peak in GFLOP/s now, for `threads` threads; undefined where the program was not built. */
let peakServer: Server | undefined | null = null;
export async function measurePeak(count = threads): Promise<number | undefined> {
  if (peakServer === null) peakServer = startPeer("peak");
  if (peakServer === undefined) return undefined;
  const rates: number[] = [];
  for (let i = 0; i < 5; i++)
    rates.push((await peakServer.ask({ cmd: "run", threads: count, milliseconds: 60 })).gflops!);
  return median(rates);
}

/** Gigabytes per second that `threads` threads read of so many megabytes of memory; undefined where the program was not built. */
export async function measureReading(megabytes: number, count = threads): Promise<number | undefined> {
  await measurePeak(count);
  return (await peakServer?.ask({ cmd: "read", threads: count, megabytes }))?.gigabytes;
}

/** Says on standard error where two results differ by more than `tolerance`. */
export function compare(
  what: string,
  ours: readonly Float32Array[],
  theirs: readonly Float32Array[],
  tolerance = 1e-3,
): void {
  if (ours.length !== theirs.length) {
    note(`${what}: ${ours.length} outputs beside ${theirs.length}`);
    return;
  }
  for (const [i, a] of ours.entries()) {
    const b = theirs[i];
    let worst = a.length === b.length ? 0 : Number.NaN;
    for (let j = 0; j < a.length && !Number.isNaN(worst); j++) {
      const difference = Math.abs(a[j] - b[j]);
      if (!(difference <= worst)) worst = difference;
    }
    if (a.length !== b.length) note(`${what}: output ${i} has ${a.length} numbers beside ${b.length}`);
    else if (!(worst <= tolerance)) {
      note(`${what}: output ${i} differs by ${worst.toExponential(2)}: not the same work`);
    }
  }
}

/** The rows of one case. `work` turns milliseconds into the unit where more is better; without it the unit is "ms". */
export function rowsOf(
  suite: string,
  name: string,
  medians: Map<string, number>,
  { flops, peak, unit = "ms", work }: { flops?: number; peak?: number; unit?: string; work?: number } = {},
): Row[] {
  const value = (milliseconds: number | undefined): number | null =>
    milliseconds === undefined ? null : work === undefined ? milliseconds : work / milliseconds;
  const ours = medians.get("ours");
  const ofPeak = ours !== undefined && flops !== undefined && peak !== undefined ? flops / ours / 1e6 / peak : null;
  const names = [...medians.keys()].filter((key) => key !== "ours");
  return names.map((peerName) => {
    const peer = medians.get(peerName)!;
    return {
      suite,
      case: name,
      ours: value(ours),
      peer: value(peer),
      peerName,
      unit,
      ratio: ours === undefined ? null : peer / ours,
      ofPeak,
    };
  });
}

/** A small generator (mulberry32), so that every run does the same work. */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
export function randomFloats(count: number, seed: number, scale = 1): Float32Array {
  const next = randomSource(seed);
  return Float32Array.from({ length: count }, () => (next() * 2 - 1) * scale);
}
