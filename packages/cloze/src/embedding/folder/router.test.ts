// Folders with routes: texts of a role are read by modules of their own.
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { scope } from "@cloze/tensor";
import { afterAll, expect, test } from "vitest";
import { createFolderCopies, expectedOf, expectNear, fixture, rows } from "../../../test/embedder-folders.js";
import { embedLongTexts } from "../long-texts.js";
import { createRoutedEmbedder } from "../routed-embedder.js";
import { loadEmbedder, saveEmbedder } from "../sentence-transformers.js";
import { createStaticEmbedder } from "../static-embedder.js";
import { trainEmbedder } from "../train-embedder.js";

const { folder, copyOf, remove } = createFolderCopies();
afterAll(remove);

const code = (wanted: string) => expect.objectContaining({ code: wanted });

test("texts without a role are refused where the folder has no default", () => {
  const embedder = loadEmbedder(fixture("router-behind"));
  expect(() => embedder.embed(["a cat"])).toThrow(code("ROUTE_UNKNOWN"));
  expect(() => embedder.pack(["a cat"])).toThrow(code("ROUTE_UNKNOWN"));
  embedder.dispose();
});

test("old folders call the class Asym, and its file config.json", () => {
  const path = copyOf("router-behind");
  renameSync(join(path, "2_Router", "router_config.json"), join(path, "2_Router", "config.json"));
  const modules = readFileSync(join(path, "modules.json"), "utf8");
  writeFileSync(join(path, "modules.json"), modules.replace(/"[\w.]*\.Router"/, '"sentence_transformers.models.Asym"'));
  const embedder = loadEmbedder(path);
  const { texts, embeddings } = expectedOf("router-behind");
  expectNear(rows(embedder, texts, { role: "query" }), embeddings.query);
  embedder.dispose();
});

test("what routes share is one, before and after saving", () => {
  const embedder = loadEmbedder(fixture("router-mapped"));
  const names = [...embedder.parameters.keys()];
  expect(names.some((name) => name.startsWith("routes.long."))).toBe(true);
  expect(names.some((name) => name.startsWith("routes.short."))).toBe(false);
  const saved = join(folder, "shared");
  saveEmbedder(embedder, saved);
  expect(readdirSync(saved).filter((name) => name.endsWith("Transformer"))).toEqual(["long_0_Transformer"]);
  embedder.dispose();
});

test.each([
  ["a rule for no route", { parameters: { route_mappings: { "('query', None)": "nowhere" } } }],
  ["a module that is not listed", { structure: { query: ["query_7_Dense"] } }],
  ["no route", { structure: {} }],
])("%s is said", (_, change) => {
  const path = copyOf("router-mapped");
  const file = join(path, "router_config.json");
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...change }));
  expect(() => loadEmbedder(path)).toThrow(code("EMBEDDER_FILE"));
});

test("a route within a route, a pooling behind a table of vectors, and vectors of two lengths are refused", () => {
  const path = copyOf("router-mapped");
  const file = join(path, "router_config.json");
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace(/"[\w.]*\.Pooling"/, '"a.Router"'));
  expect(() => loadEmbedder(path)).toThrow(code("EMBEDDER_MODULE"));
  const pooled = copyOf("static");
  writeFileSync(
    join(pooled, "modules.json"),
    JSON.stringify([
      { path: "", type: "StaticEmbedding" },
      { path: "1_Pooling", type: "Pooling" },
    ]),
  );
  expect(() => loadEmbedder(pooled)).toThrow(code("EMBEDDER_MODULE"));
  const { tokenizer } = loadEmbedder(fixture("static"));
  const [query, document] = [4, 5].map((width) => createStaticEmbedder(tokenizer, { width }));
  expect(() => createRoutedEmbedder({ query, document })).toThrow(code("INVALID_OPTION"));
  expect(() => createRoutedEmbedder({ query }, { query: "other" })).toThrow(code("INVALID_OPTION"));
  for (const one of [query, document]) one.dispose();
});

test("where one route alone ends with vectors of length 1, training sees them so", () => {
  const embedder = loadEmbedder(fixture("router-mapped"));
  const { texts, embeddings } = expectedOf("router-mapped");
  expect(embedder.options.normalize).toBe(false);
  for (const role of ["query", "document"] as const) {
    const batch = embedder.pack(texts, role);
    expectNear(
      scope(() => embedder.embedBatch(batch).toArray() as number[][]),
      embeddings[role],
    );
    expectNear(
      scope(() => embedder.poolTokens(embedder.hiddenOf(batch), batch).toArray() as number[][]),
      embeddings[role],
    );
  }
  embedder.dispose();
});

test("losses that want every layer of one encoder are refused", async () => {
  const embedder = loadEmbedder(fixture("router"));
  const pairs = [
    { query: "a", document: "cat" },
    { query: "moon", document: "star" },
  ];
  const options = { steps: 1, batchSize: 2, loss: { type: "matryoshka2d", base: "multiple-negatives", dims: [16] } };
  await expect(trainEmbedder(embedder, pairs, options)).rejects.toThrow(code("LOSS_OPTIONS"));
  embedder.dispose();
});

test("long texts are read by the route of their role", () => {
  const embedder = loadEmbedder(fixture("router"));
  const { texts, embeddings } = expectedOf("router");
  const long = scope(() => embedLongTexts(embedder, texts, { role: "query", strategy: "chunk" }).vectors.toArray());
  expectNear(long as number[][], embeddings.query);
  const { chunks } = embedLongTexts(embedder, [texts[4]], { role: "document", strategy: "chunk", chunkTokens: 6 });
  expect(chunks.map(({ tokens }) => tokens)).toEqual([6, 6, 2]);
  embedder.dispose();
});

test("cut vectors are those of each route", () => {
  const embedder = loadEmbedder(fixture("router-behind"));
  const cut = embedder.truncate({ dims: 3 });
  for (const role of ["query", "document"] as const) {
    const whole = rows(embedder, ["a cat"], { role, normalize: false });
    expect(rows(cut, ["a cat"], { role, normalize: false })).toEqual(whole.map((row) => row.slice(0, 3)));
  }
  cut.dispose();
  embedder.dispose();
});
