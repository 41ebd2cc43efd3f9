// The built `cloze` command and a hub on this machine: downloads that are killed, that race, and that commands start.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { commitOf, type FakeHub, sha256, startFakeHub } from "../packages/cloze/test/fake-hub.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const script = join(root, "packages/cloze/dist/cli/main.js");
const model = join(root, "packages/cloze/test/fixtures/models/bert/ForMaskedLM");
const file = (name: string) => readFileSync(join(model, name));
const large = Buffer.alloc(2_000_000, "weights ");

let hub: FakeHub;
let cache: string;
beforeAll(() => {
  execFileSync(process.execPath, [join(root, "scripts/build.mjs")], { stdio: ["ignore", "ignore", "pipe"] });
}, 300_000);
beforeEach(async () => {
  cache = mkdtempSync(join(tmpdir(), "cloze-hub-"));
  hub = await startFakeHub({
    "org/tiny": { files: { "config.json": file("config.json"), "model.safetensors": file("model.safetensors") } },
    "org/large": { files: { "config.json": file("config.json"), "model.safetensors": large } },
  });
});
afterEach(async () => {
  await hub.close();
  rmSync(cache, { recursive: true, force: true });
});

function start(args: readonly string[], environment: Record<string, string> = {}): ChildProcess {
  const { HF_HUB_OFFLINE: _, HF_TOKEN: __, ...rest } = process.env;
  return spawn(process.execPath, [script, ...args], {
    cwd: cache,
    env: {
      ...rest,
      no_proxy: "*",
      NO_PROXY: "*",
      HF_HOME: cache,
      HF_HUB_CACHE: cache,
      HF_ENDPOINT: hub.url,
      ...environment,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

function ended(child: ChildProcess): Promise<{ status: number | null; stdout: string; stderr: string }> {
  let [stdout, stderr] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text) => (stderr += text));
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, stdout, stderr })));
}

const snapshot = (name: string) => join(cache, `models--${name.replace("/", "--")}`, "snapshots", commitOf(name));
const blobs = (name: string) => join(cache, `models--${name.replace("/", "--")}`, "blobs");
const rangesOf = (name: string) =>
  hub.requests
    .filter(({ path }) => path.startsWith(`/cdn/${name}/`))
    .map(({ range }) => Number(/\d+/.exec(range ?? "0")?.[0]));

test("cloze pull prints the folder; --json the same for programs", async () => {
  const { status, stdout, stderr } = await ended(start(["pull", "org/tiny"]));
  expect(stderr).toMatch(/pull org\/tiny: 100 % · .* · 2 of 2 files\n$/);
  expect({ status, stdout }).toEqual({ status: 0, stdout: `${snapshot("org/tiny")}\n` });
  const again = await ended(start(["pull", "org/tiny", "--json", "--quiet"]));
  expect(again.stderr).toBe("");
  expect(JSON.parse(again.stdout)).toEqual({ id: "org/tiny", folder: snapshot("org/tiny") });
});

test("a killed download goes on from its half", async () => {
  hub.pace = { bytes: 100_000, milliseconds: 50 };
  const child = start(["pull", "org/large"]);
  const end = ended(child);
  const half = () =>
    existsSync(blobs("org/large")) &&
    readdirSync(blobs("org/large"), { withFileTypes: true }).some(
      ({ name }) => name.startsWith(sha256(large)) && readFileSync(join(blobs("org/large"), name)).length > 500_000,
    );
  await expect.poll(half, { timeout: 20_000 }).toBe(true);
  child.kill("SIGKILL");
  await end;
  expect(existsSync(join(blobs("org/large"), sha256(large)))).toBe(false);
  hub.pace = undefined;
  expect((await ended(start(["pull", "org/large"]))).status).toBe(0);
  const [first, second, ...rest] = rangesOf("org/large");
  expect(first).toBe(0);
  expect(second).toBeGreaterThan(500_000);
  expect(rest).toEqual([]);
  expect(readFileSync(join(snapshot("org/large"), "model.safetensors")).equals(large)).toBe(true);
  expect(readdirSync(blobs("org/large"))).toHaveLength(2);
});

test("processes at the same time: one file, all succeed", async () => {
  hub.pace = { bytes: 200_000, milliseconds: 30 };
  const results = await Promise.all(Array.from({ length: 3 }, () => ended(start(["pull", "org/large", "--quiet"]))));
  expect(results).toEqual(results.map(() => ({ status: 0, stdout: `${snapshot("org/large")}\n`, stderr: "" })));
  expect(readFileSync(join(snapshot("org/large"), "model.safetensors")).equals(large)).toBe(true);
  expect(readdirSync(blobs("org/large"))).toHaveLength(2);
});

test("commands take an id: downloaded once, then from the cache, also offline", async () => {
  const info = (name: string, environment?: Record<string, string>) =>
    ended(start(["info", name, "--json", "--quiet"], environment));
  const offline = await info("org/tiny", { HF_HUB_OFFLINE: "1" });
  expect(JSON.parse(offline.stdout).error.code).toBe("MODEL_NOT_FOUND");
  expect(hub.requests).toEqual([]);
  const online = await info("org/tiny");
  expect(online.status, online.stderr).toBe(0);
  expect(JSON.parse(online.stdout).architecture).toBe("ForMaskedLM");
  const asked = hub.requests.length;
  expect(await info("org/tiny")).toEqual(online);
  expect(await info("org/tiny@main", { HF_HUB_OFFLINE: "1" })).toEqual(online);
  expect(hub.requests).toHaveLength(asked);
  cpSync(model, join(cache, "org/tiny"), { recursive: true });
  expect((await info("org/tiny")).status).toBe(0);
});

test("a name that is neither says both", async () => {
  const { status, stdout } = await ended(start(["info", "runs/mine", "--json", "--quiet"]));
  expect(status).toBe(1);
  const { error } = JSON.parse(stdout);
  expect(error.code).toBe("HUB_NOT_FOUND");
  expect(error.message).toMatch(/^There is no folder runs\/mine\. The hub does not have this repository/);
});
