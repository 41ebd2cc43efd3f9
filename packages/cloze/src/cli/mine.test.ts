import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { model, texts } from "../../test/embedding-files.js";
import { runCommand } from "../../test/run-command.js";
import { addMine } from "./mine.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-mine-command-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string) => join(folder, name);
const write = (name: string, lines: readonly string[]) => writeFileSync(path(name), `${lines.join("\n")}\n`);
write("labelled.csv", ["text,label", ...[...texts, ...texts].map((text, i) => `${text} ${i},${i % 2 ? "x" : "y"}`)]);
write(
  "pairs.jsonl",
  texts.map((text) => JSON.stringify({ query: `find ${text}`, document: text })),
);

describe("cloze mine", () => {
  const mine = (...args: string[]) => runCommand(addMine, "mine", ...args, "--model", model);
  test("hard negatives that cloze train takes", async () => {
    const told = await mine("negatives", path("pairs.jsonl"), "--out", path("mined.jsonl"), "--negatives", "2");
    expect(told).toMatchObject({ pairs: 6, queries: 6, negatives: 12 });
    const rows = readFileSync(path("mined.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    for (const { document, negatives, scores } of rows) {
      expect(negatives).not.toContain(document);
      expect([negatives.length, scores.length]).toEqual([2, 3]);
    }
  });
  test("more texts to search come from any corpus", async () => {
    const near = texts.map((text) => `${text}, they say`);
    writeFileSync(
      path("more.jsonl.gz"),
      gzipSync(near.map((text, id) => JSON.stringify({ id: `${id}`, text })).join("\n")),
    );
    const corpus = ["--corpus", path("more.jsonl.gz"), "--negatives", "2"];
    expect(await mine("negatives", path("pairs.jsonl"), "--out", path("more.out"), ...corpus)).toMatchObject({
      pairs: 6,
    });
    const found = readFileSync(path("more.out"), "utf8")
      .trim()
      .split("\n")
      .flatMap((line) => (JSON.parse(line) as { negatives: string[] }).negatives);
    expect(found.some((text) => near.includes(text))).toBe(true);
    expect(found.every((text) => near.includes(text) || texts.includes(text))).toBe(true);
  });
  test("pairs may be the judgements of a test collection, whose documents are searched", async () => {
    const data = path("collection");
    mkdirSync(join(data, "qrels"), { recursive: true });
    const line = (_id: number, text: string) => JSON.stringify({ _id: `${_id}`, title: `T${_id}`, text });
    writeFileSync(join(data, "corpus.jsonl"), texts.map((text, i) => line(i, text)).join("\n"));
    writeFileSync(join(data, "queries.jsonl"), texts.map((text, i) => line(i, `find ${text}`)).join("\n"));
    writeFileSync(join(data, "qrels/train.tsv"), "query-id\tcorpus-id\tscore\n0\t0\t1\n0\t2\t1\n3\t3\t1\n4\t1\t0\n");
    const asked = ["negatives", "--out", path("judged.jsonl"), "--negatives", "2", "--data", data];
    expect(await mine(...asked)).toMatchObject({ pairs: 3, queries: 2, negatives: 6 });
    const rows = readFileSync(path("judged.jsonl"), "utf8").trim().split("\n");
    const mined = rows.map((row) => JSON.parse(row) as { document: string; negatives: string[] });
    expect(mined.map(({ document }) => document)).toEqual([0, 2, 3].map((i) => `T${i} ${texts[i]}`));
    for (const { negatives } of mined.slice(0, 2))
      for (const i of [0, 2]) expect(negatives).not.toContain(`T${i} ${texts[i]}`);
    await expect(mine("negatives", "--out", path("none"))).rejects.toMatchObject({ code: "OPTION_CONFLICT" });
    await expect(mine(...asked, path("pairs.jsonl"))).rejects.toMatchObject({ code: "OPTION_CONFLICT" });
    await expect(mine(...asked, "--split", "dev")).rejects.toMatchObject({ code: "COLLECTION_SPLIT" });
    const split = ["negatives", path("pairs.jsonl"), "--out", path("none"), "--split", "dev"];
    await expect(mine(...split)).rejects.toMatchObject({ code: "OPTION_CONFLICT", remedy: expect.any(String) });
  });
  test("duplicates and splits, of lines and of rows", async () => {
    write("copies.txt", [...texts, texts[0]]);
    const lines = await mine("duplicates", path("copies.txt"), "--threshold", "0.9999", "--out", path("kept.txt"));
    expect(lines).toMatchObject({ texts: 7, kept: 6 });
    expect(readFileSync(path("kept.txt"), "utf8").trim().split("\n")).toEqual(texts);
    const sizes = (await mine("split", path("labelled.csv"), "--threshold", "0.999", "--out", path("part"))) as {
      train: number;
      dev: number;
      test: number;
    };
    expect(sizes.train + sizes.dev + sizes.test).toBe(12);
    expect(JSON.parse(readFileSync(path("part.train.jsonl"), "utf8").split("\n")[0])).toHaveProperty("label");
  });
});
