import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { checkFolder } from "./folder.js";

const fixtures = fileURLToPath(new URL("../../test/fixtures/families/", import.meta.url));
const modelTypes = readdirSync(fixtures, { withFileTypes: true }).filter((entry) => entry.isDirectory());

test.each(modelTypes.map(({ name }) => name))(
  "%s: outputs, losses, gradients, and what is saved again",
  async (name) => {
    const checks = await checkFolder(join(fixtures, name), () => {});
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(checks.length).toBeGreaterThanOrEqual(4);
  },
);
