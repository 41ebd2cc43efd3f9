// Runs of the built `cloze pretrain` that are stopped or killed, and go on to the same bits.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildCommand, collect, createCommandFolder, pretraining } from "./cli-process.js";

const { path, start, result, failure, remove } = createCommandFolder("cloze-cli-stopped-");

beforeAll(async () => {
  buildCommand();
  await result("tokenizer", "train", "small.txt", "--out", "tokenizer", "--vocabulary-size", "200");
}, 300_000);
afterAll(remove);

const weights = (run: string): Buffer => readFileSync(path(`${run}/model.safetensors`));
const run = (out: string, steps: number, ...more: string[]): string[] => [
  ...["pretrain", "small.txt", ...pretraining(out, steps), "--json", ...more],
];
const stepsLogged = (out: string): number =>
  existsSync(path(`${out}/log.jsonl`)) ? readFileSync(path(`${out}/log.jsonl`), "utf8").split("\n").length - 1 : 0;

test("Ctrl-C saves and says how to go on; the resumed run ends with the same bits", async () => {
  await result(...run("whole", 60).slice(0, -1));
  const child = start(run("stopped", 60));
  const ended = collect(child);
  const watch = setInterval(() => {
    if (stepsLogged("stopped") < 5) return;
    clearInterval(watch);
    child.kill("SIGINT");
  }, 2);
  const { status, stdout, stderr } = await ended;
  const told = JSON.parse(stdout);
  expect(status, stderr).toBe(130);
  expect(told).toMatchObject({ interrupted: true, resume: expect.stringMatching(/^cloze pretrain .*--resume$/) });
  expect(told.steps).toBeGreaterThanOrEqual(5);
  expect(told.steps).toBeLessThan(60);
  expect(stderr).toContain("Stopping after this step");
  const resumed = await result(
    ...told.resume
      .split(" ")
      .slice(1)
      .filter((word: string) => word !== "--json"),
  );
  expect(resumed).toMatchObject({ steps: 60, interrupted: false });
  expect(weights("stopped").equals(weights("whole"))).toBe(true);
  expect(stepsLogged("stopped")).toBe(60);
});

test("killed at any moment, a run goes on to the same bits", async () => {
  let kills = 0;
  for (let attempt = 0; attempt < 12; attempt++) {
    const child = start(run("killed", 60, "--checkpoint-minutes", "0.0001", "--resume"));
    const ended = collect(child);
    // From before the first file is written until a few dozen steps later; spread, so that it falls into saves too.
    const timer = setTimeout(() => child.kill("SIGKILL"), 100 + ((attempt * 53) % 450));
    const { status, stderr } = await ended;
    clearTimeout(timer);
    if (status === 0) break;
    expect(status, stderr).toBeNull();
    kills++;
  }
  expect(kills).toBeGreaterThan(1);
  const { steps } = await result(...run("killed", 60, "--resume").filter((word) => word !== "--json"));
  expect(steps).toBe(60);
  expect(weights("killed").equals(weights("whole"))).toBe(true);
  expect(readdirSync(path("killed")).filter((name) => name.startsWith("."))).toEqual([]);
});

test("a checkpoint of another run is refused", async () => {
  const other = ["pretrain", "small.txt", ...pretraining("whole", 80), "--learning-rate", "0.1", "--resume"];
  expect(await failure(...other)).toBe("CHECKPOINT_MISMATCH");
});
