// Commands on folders whose first module is no transformer: tables of vectors, routers.
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { runCommand } from "../../test/run-command.js";
import { missingFromSnapshot } from "../data/hub/cache.js";
import { fetchEmbedder } from "../embedding/fetch-embedder.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { modelFingerprint } from "../retrieval/store/model-fingerprint.js";
import { addEmbed } from "./embed.js";
import { addEvaluateSts } from "./evaluate-sts.js";
import { addIndex } from "./index-documents.js";
import { addInfo } from "./info.js";
import { addSearch } from "./search.js";
import { addTrain } from "./train.js";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../test/fixtures/embedders/folders/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cloze-module-folders-"));
const path = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllGlobals());
const code = (wanted: string) => expect.objectContaining({ code: wanted });
const expected = (name: string) =>
  JSON.parse(readFileSync(join(fixture(name), "expected.json"), "utf8")) as {
    texts: string[];
    embeddings: Record<string, number[][]>;
  };
const names = ["static", "model2vec", "router", "router-behind", "router-mapped"];

test.each(["query", "document"])("cloze embed takes the route of a %s", async (role) => {
  const how = ["--model", fixture("router"), "--role", role];
  const [{ vector }] = await runCommand<{ vector: number[] }[]>(addEmbed, "embed", "a small cat", ...how);
  vector.forEach((value, c) => {
    expect(Math.abs(value - expected("router").embeddings[role][0][c])).toBeLessThan(5e-6);
  });
});

test("cloze info names modules and routes", async () => {
  interface Info {
    modules?: string[];
    routes?: Record<string, string[]>;
    chosen?: object;
    width: number;
  }
  const table = await runCommand<Info>(addInfo, "info", fixture("static"));
  expect(table).toMatchObject({ width: 16, modules: ["StaticEmbedding", "Normalize"] });
  const routes = await runCommand<Info>(addInfo, "info", fixture("router"));
  expect(routes.routes?.query).toEqual(["StaticEmbedding", "Dense", "Normalize"]);
  expect(routes.chosen).toEqual({ query: "query", document: "document", default: "document" });
});

test("documents are indexed and searched, each by its route", async () => {
  const documents = ["a small cat", "the moon is far away", "a dog ran after a ball"];
  writeFileSync(
    path("documents.jsonl"),
    documents.map((text, i) => `${JSON.stringify({ id: `d${i}`, text })}\n`).join(""),
  );
  for (const name of ["static", "router", "router-behind"]) {
    const model = fixture(name);
    await runCommand(addIndex, "index", path("documents.jsonl"), "--model", model, "--out", path(name));
    const out = await runCommand<object>(addSearch, "search", path(name), "the moon", "--pipeline", "dense");
    expect(JSON.stringify(out)).toContain("d1");
  }
});

test("cloze train makes tables of vectors, goes on with them and with routes", async () => {
  const pairs = ["cat\tcats", "moon\tstar", "dog\tdogs", "earth\tmoon"];
  writeFileSync(path("pairs.tsv"), `${pairs.join("\n")}\n`);
  const train = (...args: string[]) =>
    runCommand(addTrain, "train", path("pairs.tsv"), "--steps", "4", "--batch-size", "4", ...args);
  await train("--tokenizer", fixture("static"), "--static", "8", "--out", path("table"));
  expect(existsSync(path("table/config.json"))).toBe(false);
  await train("--model", path("table"), "--out", path("again"));
  const [before, after] = [loadEmbedder(path("table")), loadEmbedder(path("again"))];
  expect(after.width).toBe(8);
  expect(after.embed(["cat"]).toArray()).not.toEqual(before.embed(["cat"]).toArray());
  await train("--model", fixture("router"), "--out", path("routed"));
  expect(loadEmbedder(path("routed")).routes?.chosen.query).toBe("query");
  const conflict = code("OPTION_CONFLICT");
  await expect(train("--model", fixture("router"), "--pooling", "max", "--out", path("no"))).rejects.toThrow(conflict);
  await expect(train("--model", fixture("static"), "--static", "8", "--out", path("no"))).rejects.toThrow(conflict);
  const tokens = ["--tokenizer", fixture("static"), "--static", "8", "--encoder", "colbert", "--out", path("no")];
  await expect(train(...tokens)).rejects.toThrow(conflict);
  const several = train("--model", fixture("router"), "--encoder", "colbert", "--out", path("no"));
  await expect(several).rejects.toThrow(code("EMBEDDER_MODULE"));
});

test("cloze evaluate sts compares documents", async () => {
  writeFileSync(path("sts.tsv"), "sentence1\tsentence2\tscore\na cat\ta dog\t1\nthe moon\ta star\t3\na cat\tcats\t4\n");
  for (const name of ["static", "router"]) {
    const out = await runCommand<{ pairs: number }>(
      addEvaluateSts,
      "sts",
      "--data",
      path("sts.tsv"),
      "--model",
      fixture(name),
    );
    expect(out.pairs).toBe(3);
  }
});

test.each(names)("%s: a change of any module's weights is another model, and what is missing is named", (name) => {
  const copy = path(`${name}-changed`);
  cpSync(fixture(name), copy, { recursive: true });
  expect(missingFromSnapshot(copy)).toBeUndefined();
  expect(modelFingerprint(copy)).toBe(modelFingerprint(fixture(name)));
  const weights = [
    "model.safetensors",
    "query_0_StaticEmbedding/model.safetensors",
    "2_Router/query_0_Dense/model.safetensors",
    "long_0_Transformer/model.safetensors",
  ].filter((file) => existsSync(join(copy, file)));
  expect(weights.length).toBeGreaterThan(0);
  for (const file of weights) {
    const before = modelFingerprint(copy);
    writeFileSync(join(copy, file), "changed");
    expect(modelFingerprint(copy)).not.toBe(before);
  }
  rmSync(join(copy, existsSync(join(copy, "model.safetensors")) ? "model.safetensors" : "router_config.json"));
  expect(missingFromSnapshot(copy)).toBe("model.safetensors");
});

test.each(names)("%s: every file of its modules is fetched", async (name) => {
  const fetched: string[] = [];
  vi.stubGlobal("fetch", async (url: URL) => {
    const wanted = url.pathname.slice("/model/".length);
    const file = join(fixture(name), wanted);
    if (!existsSync(file)) return new Response("", { status: 404 });
    fetched.push(wanted);
    return new Response(readFileSync(file));
  });
  // Node reads files from the disk; only pages read what was fetched.
  await expect(fetchEmbedder("http://host/model")).rejects.toThrow(code("CONFIG_MISSING"));
  const files = readdirSync(fixture(name), { recursive: true, encoding: "utf8" }).filter((one) => /\.\w+$/.test(one));
  expect([...new Set(fetched)].sort()).toEqual(files.filter((one) => one !== "expected.json").sort());
});
