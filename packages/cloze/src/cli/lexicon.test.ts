import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { runCommand } from "../../test/run-command.js";
import { loadNgramLexicon } from "../objectives/ngrams/lexicon.js";
import { trainWordPiece } from "../text/index.js";
import { addLexicon } from "./lexicon.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-lexicon-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const paragraph =
  "New York is a large city of many people. A large boat came to New York at night. Few people saw it there.";
const text = `${paragraph}\n\n${paragraph}\n\n\n${paragraph}\n\n${paragraph}\n`;
const tokenizer = trainWordPiece([text], { vocabularySize: 120, minFrequency: 1 });
const path = join(folder, "text.txt");
writeFileSync(path, text);
tokenizer.save(folder);

async function lexiconOf(source: string) {
  const lexicon = join(folder, "lexicon.json");
  const args = ["lexicon", source, "--tokenizer", folder, "--out", lexicon, "--minimum-count", "4"];
  const printed: { entries: number } = await runCommand(addLexicon, ...args);
  return { printed, entries: loadNgramLexicon(lexicon).entries };
}

test("cloze lexicon finds what stands together, without punctuation, and writes what the objective reads", async () => {
  const { printed, entries } = await lexiconOf(path);
  expect(printed.entries).toBeGreaterThan(0);
  const texts = entries.map(({ ids }) => tokenizer.decode(ids));
  expect(texts).toContain("new york");
  expect(texts.some((found) => found.includes("."))).toBe(false);
  const packed = join(folder, "rows.jsonl.gz");
  const rows = text.split("\n").map((line, id) => JSON.stringify({ id, text: line }));
  writeFileSync(packed, gzipSync(rows.join("\n")));
  expect((await lexiconOf(packed)).entries).toEqual(entries);
});
