// The page that embeds texts, in a real browser, from static files only: its vectors are those of Node.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { scope } from "@cloze/tensor";
import { createEmbedder, createModel, saveEmbedder, trainWordPiece, uniformEncoder } from "cloze";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromium, runInChromium } from "./chromium.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cloze-embed-page-"));
const folders = { page: join(folder, "page"), model: join(folder, "model") };
const texts = ["a small cat sat on the mat", "the large dog ran after a ball", "Ünïcode — and <b>markup</b>"];
if (chromium === undefined) console.warn("embed-page.test.ts skips: no Chromium; apt-get install chromium brings one.");

beforeAll(() => {
  execFileSync(process.execPath, [join(root, "scripts/build.mjs")], { stdio: ["ignore", "ignore", "pipe"] });
  execFileSync(process.execPath, [join(root, "packages/workbench/build.mjs"), folders.page], { stdio: "pipe" });
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the page is four files, and each module of kernels is under a megabyte", () => {
  expect(readdirSync(folders.page).sort()).toEqual(["cloze-relaxed.wasm", "cloze-simd.wasm", "cloze.js", "index.html"]);
  for (const isa of ["relaxed", "simd"]) {
    expect(statSync(join(folders.page, `cloze-${isa}.wasm`)).size).toBeLessThan(1e6);
  }
});

describe.skipIf(chromium === undefined)("in Chromium", () => {
  // The page runs in a frame; this looks at it from outside.
  const look = (query: string): string => `
    const frame = document.createElement("iframe");
    frame.src = "/page/?${query}";
    document.body.append(frame);
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const at = (id) => frame.contentDocument?.getElementById(id);
      const state = at("state")?.textContent ?? "";
      if (/numbers each|^[A-Z_]{4,}: |Error/.test(state)) {
        await report({ state, vectors: at("vectors").textContent, list: at("texts-by-likeness").innerHTML });
        break;
      }
    }`;
  const asking = (model: string) =>
    [`model=${model}`, ...texts.map((text) => `text=${encodeURIComponent(text)}`)].join("&");

  test.each([
    ["on one thread", false, /\(wasm-\w+, 1 thread\)/],
    ["cross-origin isolated, on several threads", true, /\(wasm-\w+, \d+ threads\)/],
  ])("%s", async (_, isolated, state) => {
    const tokenizer = trainWordPiece(texts, { vocabularySize: 90, minFrequency: 1 });
    const config = uniformEncoder({
      vocabularySize: tokenizer.vocabularySize,
      hiddenSize: 32,
      layers: 2,
      heads: 2,
      maxPositions: 64,
    });
    const model = createModel({ architecture: "Model", config, head: { type: "none" } });
    const embedder = createEmbedder(model, tokenizer);
    saveEmbedder(embedder, folders.model);
    const expected = scope(() => embedder.embed(texts).toArray()) as number[][];
    embedder.dispose();
    const { result, asked } = await runInChromium({ folders, script: look(asking("/model")), isolated });
    expect(result.state).toMatch(state);
    const rows = result.vectors.split("\n").map((line: string) => JSON.parse(line));
    expect(rows.map(({ text }: { text: string }) => text)).toEqual(texts);
    rows.forEach(({ vector }: { vector: number[] }, i: number) => {
      vector.forEach((value, c) => {
        expect(value).toBeCloseTo(expected[i][c], 5);
      });
    });
    expect(result.list).toContain("&lt;b&gt;markup&lt;/b&gt;");
    expect(asked).toEqual(expect.arrayContaining(["page/cloze.js", "model/model.safetensors"]));
  });

  test("a folder that is none says what is missing", async () => {
    const { result } = await runInChromium({ folders, script: look(asking("/nothing")) });
    expect(result.state).toMatch(/^FILE_NOT_FOUND: .*config\.json does not exist/);
  });
});
