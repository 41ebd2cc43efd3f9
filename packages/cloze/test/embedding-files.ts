// Small files of texts, pairs, scores and labels for tests of the commands that train and compare embedders.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

export const model = fileURLToPath(new URL("fixtures/embedders/encoder", import.meta.url));
export const moduleFolder = (name: string) =>
  fileURLToPath(new URL(`fixtures/embedders/folders/${name}`, import.meta.url));
export const code = (wanted: string) => expect.objectContaining({ code: wanted });
export const texts = [
  "a small cat",
  "the large dog",
  "cats and dogs",
  "the moon is far away",
  "a star",
  "the dog ran after a ball",
];

/** A folder with texts.txt, sts.tsv, labelled.csv and pairs.jsonl. */
export function createEmbeddingFiles() {
  const folder = mkdtempSync(join(tmpdir(), "cloze-embedding-commands-"));
  const path = (name: string) => join(folder, name);
  const write = (name: string, lines: readonly (string | object)[]) =>
    writeFileSync(
      path(name),
      lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join(""),
    );

  write("texts.txt", texts);
  const scored = texts.map((text, i) => `${text}\t${texts[(i + 1) % 6]}\t${i % 3}`);
  write("sts.tsv", ["sentence1\tsentence2\tscore", ...scored]);
  write("labelled.csv", ["text,label", ...[...texts, ...texts].map((text, i) => `${text} ${i},${i % 2 ? "x" : "y"}`)]);
  write(
    "pairs.jsonl",
    texts.map((text, i) => ({ query: `find ${text}`, document: text, negatives: [texts[(i + 2) % 6]] })),
  );

  return { path, write, remove: (): void => rmSync(folder, { recursive: true, force: true }) };
}
