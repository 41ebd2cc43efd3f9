// The tests of the engine in a real browser, on WebAssembly: all files that use nothing of Node, as they are.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { afterAll, describe, expect, test } from "vitest";
import { chromium, runInChromium } from "./chromium.js";
import type { TestReport } from "./vitest-in-browser.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const source = join(here, "../packages/tensor/src");
const folder = mkdtempSync(join(tmpdir(), "cloze-wasm-chromium-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
if (chromium === undefined)
  console.warn("wasm-chromium.test.ts skips: no Chromium; apt-get install chromium brings one.");

/** Test files that need no module of Node, mock nothing, and do not count all tensors of the process: they share one here. */
const portable = readdirSync(source, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.ts"))
  .filter((name) => !/"node:|\bvi\b|\bprocess\b|\ballocations\b/.test(readFileSync(join(source, name), "utf8")))
  .sort();

async function bundle(): Promise<void> {
  const before = join(folder, "before.ts");
  const entry = join(folder, "entry.ts");
  writeFileSync(
    before,
    `import { backend, fetchWasm } from ${JSON.stringify(join(source, "backend/index.ts"))};
    for (const isa of ["relaxed", "simd"] as const) await fetchWasm(new URL("/wasm/", location.href), isa);
    export const about = () => ({ name: backend().name, isa: backend().isa, threads: backend().threads() });`,
  );
  const imports = portable.map((name) => `import ${JSON.stringify(join(source, name))};`);
  writeFileSync(
    entry,
    `import { about } from "./before.ts";\n${imports.join("\n")}
    import { runTests } from "vitest";
    export const run = async () => ({ ...about(), ...(await runTests()) });`,
  );
  const built = await rolldown({
    input: entry,
    platform: "browser",
    resolve: {
      alias: {
        vitest: join(here, "vitest-in-browser.ts"),
        "@vitest/expect": join(here, "../node_modules/@vitest/expect"),
        "fast-check": join(here, "../node_modules/fast-check"),
      },
      extensionAlias: { ".js": [".ts", ".js"] },
    },
  });
  await built.write({ file: join(folder, "tests.js"), format: "esm" });
  await built.close();
}

describe.skipIf(chromium === undefined)("in Chromium", () => {
  test("the engine's tests pass on WebAssembly with threads", async () => {
    await bundle();
    const { result } = await runInChromium({
      folders: { tests: folder, wasm: join(source, "../wasm") },
      script: 'const { run } = await import("/tests/tests.js"); await report(await run());',
      isolated: true,
      timeout: 280_000,
    });
    expect(result.error).toBeUndefined();
    const { failed, passed, skipped, ...about }: TestReport & Record<string, unknown> = result;
    expect(failed).toEqual([]);
    expect(about).toMatchObject({ name: "wasm", isa: expect.stringMatching(/^wasm-/) });
    expect(about.threads).toBeGreaterThan(0);
    expect(passed).toBeGreaterThan(300);
    expect(skipped.length).toBeLessThan(5);
  }, 300_000);
});
