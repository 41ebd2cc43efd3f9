import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, expect, test } from "vitest";
import { runCommand } from "../../test/run-command.js";
import { loadTokenizer } from "../text/index.js";
import { addTokenizer } from "./tokenizer.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-tokenizer-command-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const train = (sources: readonly string[], out: string, ...options: string[]) =>
  runCommand(addTokenizer, "tokenizer", "train", ...sources, "--out", join(folder, out), ...options);

const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const tokensOf = (out: string) => [...loadTokenizer(join(folder, out)).model.entries()];

test.each([
  ["wordpiece", 90],
  ["bpe", 300],
  ["words", 90],
] as const)("cloze tokenizer train --balance keeps words of a small file, %s", async (type, size) => {
  const house = (_: unknown, i: number): string => `the old house on hill ${i} was quiet and its garden was green`;
  const large = file("large.txt", Array.from({ length: 300 }, house).join("\n"));
  const small = file("small.txt", "estoppel bars the plaintiff\nthe plaintiff pleads estoppel\n");
  const piecesOf = async (out: string, ...more: string[]): Promise<number> => {
    await train([large, small], out, "--vocabulary-size", String(size), "--type", type, ...more);
    const tokenizer = loadTokenizer(join(folder, out));
    const { tokens } = tokenizer.encode("the plaintiff pleads estoppel", { addSpecialTokens: false });
    return tokens.length + 10 * tokens.filter((token) => token === "[UNK]").length;
  };
  expect(await piecesOf("balanced", "--balance", "bytes")).toBeLessThan(await piecesOf("plain"));
});

test("cloze tokenizer train leaves files out that hold no text, and counts them", async () => {
  const mixed = join(folder, "mixed");
  mkdirSync(mixed);
  file("mixed/a.txt", "a cat and a dog\n");
  const noise = file("mixed/b.txt", Buffer.from(Array.from({ length: 4000 }, (_, i) => (i * 7919) % 256)));
  expect(await train([mixed], "mixed-out")).toMatchObject({ warnings: [{ code: "CORPUS_BINARY_FILE", count: 1 }] });
  expect(tokensOf("mixed-out").some(([token]) => token.includes("\ufffd"))).toBe(false);
  await expect(train([noise], "mixed-out")).rejects.toMatchObject({ code: "CORPUS_EMPTY" });
});

test("cloze tokenizer train learns the same from lines, JSON lines, CSV and Parquet, packed or not", async () => {
  const texts = Array.from({ length: 40 }, (_, i) => `a "quoted" sentence, number ${i % 7}`);
  const rows = texts.map((text, i) => JSON.stringify({ id: `row ${i}`, text })).join("\n");
  const csv = ["id,text", ...texts.map((text, i) => `row ${i},"${text.replaceAll('"', '""')}"`)].join("\n");
  const parquet = parquetWriteBuffer({
    columnData: [
      { name: "id", data: texts.map((_, i) => `row ${i}`), type: "STRING" },
      { name: "text", data: texts, type: "STRING" },
    ],
  });
  await train([file("lines.txt", texts.join("\n"))], "from-lines");
  const wanted = tokensOf("from-lines");
  expect(wanted.map(([token]) => token)).toContain("quoted");
  for (const [name, content] of [
    ["packed.txt.gz", gzipSync(texts.join("\n"))],
    ["rows.jsonl", rows],
    ["rows.jsonl.gz", gzipSync(rows)],
    ["rows.csv", csv],
    ["rows.parquet", new Uint8Array(parquet)],
  ] as const) {
    await train([file(name, content)], "from-rows");
    expect(tokensOf("from-rows"), name).toEqual(wanted);
  }
  await train([join(folder, "rows.csv")], "from-ids", "--text-field", "id");
  expect(tokensOf("from-ids").map(([token]) => token)).toContain("row");
  await expect(train([join(folder, "rows.csv")], "from-none", "--text-field", "body")).rejects.toMatchObject({
    code: "CORPUS_TEXT_FIELD",
  });
});
