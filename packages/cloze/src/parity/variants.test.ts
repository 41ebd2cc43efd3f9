// Configurations beyond the fixtures', made by transformers itself: only where a Python with it is installed (npm run bench:setup).
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { checkFolder } from "./folder.js";

const generator = fileURLToPath(new URL("../../test/fixtures/families/variants.py", import.meta.url));
const python = fileURLToPath(new URL("../../../../.peers/py/bin/python", import.meta.url));

test.skipIf(!existsSync(python))(
  "models of unusual configurations compute what transformers computes, and are saved as they were",
  async () => {
    const at = mkdtempSync(join(tmpdir(), "cloze-variants-"));
    try {
      const { stderr, status } = spawnSync(python, [generator, at], { encoding: "utf8" });
      expect(status, stderr).toBe(0);
      const variants = readdirSync(at);
      expect(variants.length).toBeGreaterThanOrEqual(40);
      const checks = (await Promise.all(variants.map((name) => checkFolder(join(at, name), () => {})))).flat();
      expect(checks.filter(({ ok }) => !ok)).toEqual([]);
      expect(checks.length).toBeGreaterThanOrEqual(9 * variants.length);
    } finally {
      rmSync(at, { recursive: true, force: true });
    }
  },
  240_000,
);
