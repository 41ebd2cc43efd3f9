// An index whose writer is killed at random moments: every acknowledged change is there, no document twice.
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

test("kill -9, ten times", () => {
  execFileSync(process.execPath, [join(root, "scripts/build.mjs")], { stdio: ["ignore", "ignore", "pipe"] });
  const { stdout, stderr } = spawnSync(process.execPath, [join(root, "scripts/index-crash.mjs"), "10"], {
    encoding: "utf8",
  });
  expect(stdout, stderr).not.toBe("");
  const { kills, acknowledged, documents, problems } = JSON.parse(stdout);
  expect(problems).toEqual([]);
  expect(kills).toBe(10);
  expect(acknowledged).toBeGreaterThan(10);
  expect(documents).toBeGreaterThan(0);
}, 300_000);
