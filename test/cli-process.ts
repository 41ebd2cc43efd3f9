// The built `cloze` command in processes of its own, in a folder of its own with a small corpus: for tests of what it prints,
// how it fails, and what survives when it is stopped.
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const script = join(root, "packages/cloze/dist/cli/main.js");

/** Brings the build up to date, which tests of the built command wait for before all others. */
export const buildCommand = (): void =>
  void execFileSync(process.execPath, [join(root, "scripts/build.mjs")], { stdio: ["ignore", "ignore", "pipe"] });

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function collect(child: ChildProcess): Promise<Result> {
  let [stdout, stderr] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, stdout, stderr }));
  });
}

export const nouns = [
  "cat",
  "dog",
  "bird",
  "fish",
  "tree",
  "house",
  "river",
  "mountain",
  "book",
  "door",
  "window",
  "stone",
];
export const adjectives = ["small", "large", "old", "young", "red", "green", "quiet", "bright"];
/** One of the sentences of small.txt. */
export const sentence = (i: number): string =>
  `the ${adjectives[i % 8]} ${nouns[(i * 5) % 12]} sees the ${adjectives[(i * 3) % 8]} ${nouns[(i * 7 + 1) % 12]} near the ${nouns[(i >> 3) % 12]}`;

/** What makes a model of the test small. */
export const size = ["--tokenizer", "tokenizer", "--size", "tiny", "--max-length", "32"];
export const pretraining = (out: string, steps: number): string[] => [
  ...size,
  "--batch-tokens",
  "128",
  "--out",
  out,
  "--steps",
  String(steps),
];
export const training = (out: string, steps: number): string[] => [
  ...size,
  "--batch-size",
  "8",
  "--out",
  out,
  "--steps",
  String(steps),
];

/** A folder with small.txt, 200 sentences, in which commands run. */
export function createCommandFolder(prefix: string) {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  const path = (name: string): string => join(folder, name);
  writeFileSync(path("small.txt"), Array.from({ length: 200 }, (_, i) => `${sentence(i)}\n`).join(""));
  const start = (args: readonly string[], options: SpawnOptions = {}): ChildProcess =>
    spawn(process.execPath, [script, ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"], ...options });
  const cloze = (...args: string[]): Promise<Result> => collect(start(args));

  /** The result of a command that must succeed. */
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what each test looks at.
  async function result(...args: string[]): Promise<any> {
    const { status, stdout, stderr } = await cloze(...args, "--json");
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout);
  }

  /** The code of a command that must fail: the same on standard error and in the JSON. */
  async function failure(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await cloze(...args, "--json");
    expect(status, `${stdout}\n${stderr}`).toBe(1);
    const { error } = JSON.parse(stdout);
    expect(stderr).toContain(`error [${error.code}]: ${error.message}`);
    expect(error.message).not.toMatch(/\n {4}at |\.;/);
    return error.code;
  }

  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  return { folder, path, start, cloze, result, failure, remove };
}
