import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { checkTokenizerFolder } from "./parity.js";
import { loadTokenizer } from "./tokenizer.js";

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

  it("holds cut and filled encodings against golden ones, by either rule for two long texts", () => {
    const folder = mkdtempSync(join(tmpdir(), "cloze-parity-"));
    const vocab = Object.fromEntries(["[PAD]", "[UNK]", "[CLS]", "a", "b", "c", "##c"].map((token, id) => [token, id]));
    const template = (...parts: string[]) =>
      parts.map((id) => (id.length === 1 ? { Sequence: { id, type_id: 0 } } : { SpecialToken: { id, type_id: 0 } }));
    const json = {
      truncation: { direction: "Right", max_length: 6, strategy: "LongestFirst", stride: 0 },
      padding: {
        strategy: { Fixed: 6 },
        direction: "Left",
        pad_to_multiple_of: null,
        pad_id: 0,
        pad_type_id: 0,
        pad_token: "[PAD]",
      },
      added_tokens: [],
      pre_tokenizer: { type: "WhitespaceSplit" },
      post_processor: {
        type: "TemplateProcessing",
        single: template("[CLS]", "A"),
        pair: template("[CLS]", "A", "B"),
        special_tokens: { "[CLS]": { id: "[CLS]", ids: [2], tokens: ["[CLS]"] } },
      },
      model: {
        type: "WordPiece",
        unk_token: "[UNK]",
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab,
      },
    };
    writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(json));
    const names = Object.keys(vocab);
    const row = (text: string, pair: string | undefined, ids: number[], offsets: number[][]) => ({
      text,
      pair,
      ids,
      tokens: ids.map((id) => names[id]),
      offsets,
      type_ids: ids.map(() => 0),
      special: ids.map((id) => Number(id === 0 || id === 2)),
    });
    // The first text has 9 tokens and the second 8: the first keeps more. By whole pieces until there are 6, it has 6 and
    // the second 8.
    const pair = ["a a a a a a a a a", "cccccccc"] as const;
    const [a, c] = [
      [0, 2, 4, 6],
      [0, 1, 2],
    ];
    const ends = (starts: number[]) => starts.map((start) => [start, start + 1]);
    const whole = row(...pair, [2, 3, 3, 3, 5, 6], [[0, 0], ...ends(a.slice(0, 3)), ...ends(c.slice(0, 2))]);
    const filled = row(...pair, [2, 3, 3, 5, 6, 6], [[0, 0], ...ends(a.slice(0, 2)), ...ends(c)]);
    const short = row(
      "a",
      undefined,
      [0, 0, 0, 0, 2, 3],
      [
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 1],
      ],
    );
    const wrong = row(...pair, [2, 3, 5, 6, 6, 6], [[0, 0], [0, 1], ...ends([0, 1, 2, 3])]);
    const cases = [whole, filled, short, wrong].map((one) => `${JSON.stringify(one)}\n`);
    writeFileSync(join(folder, "cases.jsonl"), cases.join(""));
    expect(checkTokenizerFolder(folder).map(({ ok }) => ok)).toEqual([true, true, true, false, true]);
    const tokenizer = loadTokenizer(folder);
    expect([...tokenizer.encode(pair[0], { pair: pair[1] }).ids]).toEqual(whole.ids);
    expect([...tokenizer.encodeIds(pair[0], { pair: pair[1] })]).toEqual(whole.ids);
  });

  it("refuses a folder without golden data", () => {
    const folder = mkdtempSync(join(tmpdir(), "cloze-parity-"));
    expect(() => checkTokenizerFolder(folder)).toThrow(expect.objectContaining({ code: "PARITY_FOLDER" }));
    expect(() => checkTokenizerFolder(join(folder, "missing"))).toThrow(
      expect.objectContaining({ code: "PARITY_FOLDER" }),
    );
  });
});
