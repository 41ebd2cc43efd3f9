import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { claimIncomplete, releaseIncomplete, removeLeftovers } from "./incomplete.js";

const hash = "a".repeat(40);
const here = createHash("sha1").update(hostname()).digest("hex").slice(0, 8);
// A process that has just ended.
const dead = spawnSync(process.execPath, ["-e", ""]).pid;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cloze-incomplete-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const leave = (owner: string, content: string, minutes = 0) => {
  const path = join(folder, `${hash}.${owner}.incomplete`);
  writeFileSync(path, content);
  const time = Date.now() / 1000 - 60 * minutes;
  utimesSync(path, time, time);
};
const pathOf = (claim: Awaited<ReturnType<typeof claimIncomplete>>) => ("path" in claim ? claim.path : "busy");

test("a new file is ours alone until it is released", async () => {
  const path = pathOf(await claimIncomplete(folder, hash));
  expect(await claimIncomplete(folder, hash)).toEqual({ busy: 0 });
  writeFileSync(path, "half");
  expect(await claimIncomplete(folder, hash)).toEqual({ busy: 4 });
  await releaseIncomplete(folder, hash, path);
  expect(readFileSync(pathOf(await claimIncomplete(folder, hash)), "utf8")).toBe("half");
});

test("the longest half of dead processes is taken over, the others go when the file is whole", async () => {
  leave(`${here}-${dead}-1`, "short");
  leave(`${here}-${dead}-2`, "much longer");
  leave("released", "middling");
  leave(`0123abcd-1-1`, "of another machine that is silent", 11);
  const path = pathOf(await claimIncomplete(folder, hash));
  expect(readFileSync(path, "utf8")).toBe("of another machine that is silent");
  rmSync(path);
  expect(readFileSync(pathOf(await claimIncomplete(folder, hash)), "utf8")).toBe("much longer");
  await removeLeftovers(folder, hash);
  expect(readdirSync(folder)).toHaveLength(1);
});

test("another machine that writes is left alone; files of other programs and other hashes too", async () => {
  writeFileSync(join(folder, `${hash}.incomplete`), "huggingface_hub's");
  writeFileSync(join(folder, `${"b".repeat(40)}.released.incomplete`), "another file's");
  expect(readFileSync(pathOf(await claimIncomplete(folder, hash)), "utf8")).toBe("");
  await removeLeftovers(folder, hash);
  expect(readdirSync(folder)).toHaveLength(3);
  rmSync(folder, { recursive: true });
  folder = mkdtempSync(join(tmpdir(), "cloze-incomplete-"));
  leave(`0123abcd-1-1`, "busy", 1);
  expect(await claimIncomplete(folder, hash)).toEqual({ busy: 4 });
});

test("of many that start at once, none shares a file and at least one goes on", async () => {
  const claims = await Promise.all(Array.from({ length: 12 }, () => claimIncomplete(folder, hash)));
  const paths = claims.flatMap((claim) => ("path" in claim ? [claim.path] : []));
  expect(paths.length).toBeGreaterThan(0);
  expect(new Set(paths).size).toBe(paths.length);
  expect(readdirSync(folder)).toHaveLength(paths.length);
});
