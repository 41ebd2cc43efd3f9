import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { checkTokenizerFolder } from "./parity.js";

const fixtures = fileURLToPath(new URL("../../test/fixtures/tokenizers", import.meta.url));

describe("checkTokenizerFolder", () => {
  it("finds our tokenizers and trainers equal to the golden data", () => {
    const results = checkTokenizerFolder(fixtures);
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
    expect(results.length).toBe(150);
  });

  it("says what differs", () => {
    const folder = mkdtempSync(join(tmpdir(), "cloze-parity-"));
    const model = { type: "WordLevel", vocab: { "[UNK]": 0, a: 1 }, unk_token: "[UNK]" };
    writeFileSync(join(folder, "tokenizer.json"), JSON.stringify({ model }));
    const golden = { text: "a", ids: [2], tokens: ["a"], offsets: [[0, 1]], type_ids: [0], special: [0] };
    writeFileSync(join(folder, "cases.jsonl"), `${JSON.stringify(golden)}\n`);
    const [first] = checkTokenizerFolder(folder);
    expect(first).toEqual({ case: '1 "a"', ok: false, difference: "ids[0]: 1 instead of 2" });
  });

  it("refuses a folder without golden data", () => {
    const folder = mkdtempSync(join(tmpdir(), "cloze-parity-"));
    expect(() => checkTokenizerFolder(folder)).toThrow(expect.objectContaining({ code: "PARITY_FOLDER" }));
    expect(() => checkTokenizerFolder(join(folder, "missing"))).toThrow(
      expect.objectContaining({ code: "PARITY_FOLDER" }),
    );
  });
});
