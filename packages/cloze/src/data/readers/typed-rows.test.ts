import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { JsonObject } from "../../text/index.js";
import { readBeir } from "./beir.js";
import { readChoiceRows } from "./choice-rows.js";
import { collectRows, rowsOf } from "./open-rows.js";
import { readQuestionRows } from "./question-rows.js";
import { readRankingRows } from "./ranking-rows.js";
import { splitWords } from "./span-tags.js";
import { readTaskRows } from "./tasks.js";
import { type ReadTextRowsOptions, readTextRows } from "./text-rows.js";
import { type ReadTokenRowsOptions, readTokenRows } from "./token-rows.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-typed-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, content: string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const failure = (code: string, text: RegExp) => expect.objectContaining({ code, message: expect.stringMatching(text) });

describe("readTextRows", () => {
  const read = async (values: JsonObject[], options?: ReadTextRowsOptions) =>
    collectRows(await readTextRows(rowsOf(values), options));

  it.each([
    [["sentence", "label", "source"], { text: "sentence", label: "label" }],
    [["premise", "hypothesis", "label"], { text: "premise", pair: "hypothesis", label: "label" }],
    [["question", "sentence", "label"], { text: "question", pair: "sentence", label: "label" }],
    [["sentence1", "sentence2", "relatedness", "label"], { text: "sentence1", pair: "sentence2", label: "label" }],
    [["question", "coarse", "fine"], { text: "question", label: "coarse" }],
    [["Sentence 1", "Sentence_2", "Label"], { text: "Sentence 1", pair: "Sentence_2", label: "Label" }],
    [["speech", "label"], { text: "speech", label: "label" }],
    [["text"], { text: "text" }],
  ])("finds the columns of %j", async (names, columns) => {
    const rows = await readTextRows(rowsOf([Object.fromEntries(names.map((name) => [name, "x"]))]));
    expect(rows.columns).toEqual(columns);
    expect(rows.guesses).toHaveLength(Object.keys(columns).length);
  });

  it("takes the columns it is told, and says which there are when one is missing", async () => {
    const row = { title: "t", text: "x", label: "a", stars: 4 };
    const [told] = await read([row], { columns: { text: "title", pair: "text", label: "stars" } });
    expect(told).toEqual({ text: "t", pair: "x", label: "4", row: 1 });
    expect(await read([row], { columns: { label: null } })).toEqual([{ text: "x", row: 1 }]);
    await expect(read([row], { columns: { text: "body" } })).rejects.toThrow(
      failure("DATA_COLUMN_MISSING", /"body".*title, text, label, stars/),
    );
    await expect(read([{ a: "1", b: "2" }])).rejects.toThrow(failure("DATA_COLUMN_MISSING", /columns a, b/));
    await expect(read([row], { columns: { txt: "text" } as object })).rejects.toThrow(
      failure("DATA_COLUMN_MISSING", /text, pair, label/),
    );
  });

  it("reads one class, several, or a number", async () => {
    expect(
      await read([
        { text: "x", label: 1 },
        { text: "y", label: "1" },
        { text: "z", label: "" },
      ]),
    ).toEqual([
      { text: "x", label: "1", row: 1 },
      { text: "y", label: "1", row: 2 },
      { text: "z", row: 3 },
    ]);
    const many = async (labels: (string | string[])[], options?: ReadTextRowsOptions) =>
      (
        await read(
          labels.map((label) => ({ text: "x", labels: label })),
          options,
        )
      ).map(({ label }) => label);
    expect(await many([["a", "b"], []])).toEqual([["a", "b"], []]);
    expect(await many(["a,b", "c", ""])).toEqual([["a", "b"], ["c"], []]);
    expect(await many(["a|b c", "c"])).toEqual([["a", "b c"], ["c"]]);
    expect(await many(["a b", "a", "b"])).toEqual([["a", "b"], ["a"], ["b"]]);
    expect(await many(["very good", "bad"])).toEqual([["very good"], ["bad"]]);
    expect(await many(["a/b"], { labelSeparator: "/" })).toEqual([["a", "b"]]);
    expect(await many(["a,b"], { labels: "one" })).toEqual(["a,b"]);
    const numbers = await read(
      [
        { text: "x", score: "2.5" },
        { text: "y", score: -1e3 },
      ],
      { labels: "number" },
    );
    expect(numbers.map(({ label }) => label)).toEqual([2.5, -1000]);
  });

  it("reports values that do not fit with their line, or counts the rows it leaves out", async () => {
    const path = file("wrong.jsonl", '{"text":"a","label":1}\n{"label":0}\n{"text":["b"],"label":1}\n{"text":"c"}\n');
    const reading = async () => collectRows(await readTextRows(path));
    await expect(reading()).rejects.toThrow(failure("DATA_VALUE", /line 2: column "text" .*a text; received nothing/));
    const rows = await readTextRows(path, { onBadRow: "skip" });
    expect((await collectRows(rows)).map(({ text }) => text)).toEqual(["a", "c"]);
    expect(rows.warnings.list()).toMatchObject([{ code: "DATA_ROW_SKIPPED", count: 2, first: `${path}, line 2` }]);
    await expect(read([{ text: "x", score: "high" }], { labels: "number" })).rejects.toThrow(
      failure("DATA_VALUE", /a number; received "high"/),
    );
  });
});

describe("readTokenRows", () => {
  const read = async (values: JsonObject[], options?: ReadTokenRowsOptions) => {
    const rows = await readTokenRows(rowsOf(values), options);
    const all = await collectRows(rows);
    return { all, codes: Object.fromEntries(rows.warnings.list().map(({ code, count }) => [code, count])) };
  };
  const entity = (start: number, end: number, label: string, text?: string) => ({
    start,
    end,
    label,
    ...(text && { text }),
  });

  it("reads CoNLL columns and lists of tokens and tags", async () => {
    const rows = await readTokenRows(file("a.conll", "EU\tB-ORG\nis\tO\n\nBig\tO\n"));
    expect(await collectRows(rows)).toEqual([
      { tokens: ["EU", "is"], tags: ["B-ORG", "O"], row: 1 },
      { tokens: ["Big"], tags: ["O"], row: 2 },
    ]);
    const numbers = { tokens: ["EU", "is"], ner_tags: [1, 0] };
    expect((await read([numbers], { tagNames: ["O", "B-ORG"] })).all[0].tags).toEqual(["B-ORG", "O"]);
    expect((await read([{ tokens: ["a"] }])).all).toEqual([{ tokens: ["a"], row: 1 }]);
    await expect(read([numbers], { tagNames: ["O"] })).rejects.toThrow(failure("DATA_VALUE", /below 1/));
    await expect(read([{ tokens: ["a"], tags: [] }])).rejects.toThrow(failure("DATA_VALUE", /1 tags, one per token/));
  });

  it("reads spans of tokens, of which the longest stay", async () => {
    const row = {
      tokens: ["the", "Lord", "of", "Kent", "."],
      entities: [
        [3, 4, "GPE"],
        [0, 4, "PER"],
        [4, 9, "X"],
      ],
    };
    const { all, codes } = await read([row]);
    expect(all[0].tags).toEqual(["B-PER", "I-PER", "I-PER", "I-PER", "O"]);
    expect(codes).toEqual({ DATA_SPAN_OVERLAP: 1, DATA_SPAN_OUTSIDE: 1 });
  });

  it("cuts texts into words, and spans of characters into tags", async () => {
    const text = "Ada Lovelace lived in St. James's.";
    const spans = [entity(22, 31, "LOC", "St. James"), entity(0, 12, "PER", "Ada Lovelace")];
    const { all, codes } = await read([{ text, spans }], { scheme: "BIOES" });
    expect(all[0].tokens).toEqual(["Ada", "Lovelace", "lived", "in", "St", ".", "James", "'", "s", "."]);
    expect(all[0].tags).toEqual(["B-PER", "E-PER", "O", "O", "B-LOC", "I-LOC", "E-LOC", "O", "O", "O"]);
    expect(all[0].offsets?.map(([start, end]) => text.slice(start, end))).toEqual(all[0].tokens);
    expect(codes).toEqual({});
    expect(splitWords("東京 is naïve, ไทย_x 5a").tokens).toEqual([
      "東",
      "京",
      "is",
      "naïve",
      ",",
      "ไ",
      "ท",
      "ย",
      "_x",
      "5a",
    ]);
  });

  it("counts spans that overlap, cut words, hold none, reach beyond or do not match", async () => {
    const row: JsonObject = {
      text: "unhappy people  here",
      entities: [
        [2, 7, "A"],
        [0, 14, "B"],
        [14, 16, "C"],
        [16, 99, "D"],
        { start: 16, end: 20, label: "E", text: "gone" },
        { start_offset: 16, end_offset: 20, type: "F" },
      ],
    };
    const { all, codes } = await read([row]);
    expect(all[0].tags).toEqual(["B-B", "I-B", "B-F"]);
    expect(codes).toEqual({
      DATA_SPAN_OVERLAP: 1,
      DATA_SPAN_INSIDE_WORD: 1,
      DATA_SPAN_EMPTY: 1,
      DATA_SPAN_OUTSIDE: 1,
      DATA_SPAN_MISMATCH: 1,
    });
    await expect(read([{ text: "a", spans: [{ start: 1, end: 0, label: "A" }] }])).rejects.toThrow(
      failure("DATA_VALUE", /start < end/),
    );
  });

  it("finds spans that Python counted", async () => {
    const text = "😀😀 Ada ran";
    const shown = await read([{ text, spans: [entity(3, 6, "PER", "Ada")] }]);
    expect(shown.all[0].tags).toEqual(["O", "O", "B-PER", "O"]);
    expect(shown.codes).toEqual({ DATA_CODE_POINTS: 1 });
    const told = await read([{ text, spans: [entity(3, 6, "PER")] }], { offsetUnit: "code-point" });
    expect(told.all[0].tags).toEqual(["O", "O", "B-PER", "O"]);
    expect(told.codes).toEqual({});
  });
});

describe("readQuestionRows", () => {
  const context = "Ada wrote. Then Ada slept.";
  const read = async (row: JsonObject) => {
    const rows = await readQuestionRows(rowsOf([{ id: "7", question: "Who?", context, ...row }]));
    return { row: (await collectRows(rows))[0], codes: rows.warnings.list().map(({ code }) => code) };
  };

  it("reads answers in all their forms", async () => {
    const answers = [{ text: "Ada", start: 16 }];
    const forms: JsonObject[] = [
      { answers: [{ text: "Ada", answer_start: 16 }] },
      { answers: { text: ["Ada"], answer_start: [16] } },
      { answers: '{"text": ["Ada"], "answer_start": [16]}' },
      { answers: ["Ada"], answer_start: [16] },
      { answer: "Ada", answer_start: "16" },
    ];
    for (const form of forms)
      expect((await read(form)).row).toEqual({ id: "7", question: "Who?", context, answers, row: 1 });
  });

  it("looks for answers without a place", async () => {
    expect(await read({ answer: "Ada" })).toMatchObject({
      row: { answers: [{ text: "Ada", start: 0 }] },
      codes: ["DATA_ANSWER_AMBIGUOUS"],
    });
    expect((await read({ answer: "Then" })).row.answers).toEqual([{ text: "Then", start: 11 }]);
    expect((await read({ answer: "Bob" })).row.answers).toEqual([{ text: "Bob", start: -1 }]);
  });

  it("knows questions without an answer, and counts code points", async () => {
    const open = (await read({ answers: [{ text: "Ada", answer_start: 0 }], is_impossible: true })).row;
    expect(open).toMatchObject({ answers: [], impossible: true });
    expect((await read({ answers: [], is_impossible: "False" })).row).toMatchObject({ impossible: false });
    const wide = await read({ context: "😀 Ada", answers: [{ text: "Ada", answer_start: 2 }] });
    expect(wide).toMatchObject({ row: { answers: [{ text: "Ada", start: 3 }] }, codes: ["DATA_CODE_POINTS"] });
    await expect(read({ answers: [{ answer_start: 2 }] })).rejects.toThrow(
      failure("DATA_VALUE", /answers with a text/),
    );
  });
});

describe("readChoiceRows", () => {
  const read = async (row: JsonObject, options = {}) =>
    (await collectRows(await readChoiceRows(rowsOf([row]), options)))[0];

  it("reads lists and columns of choices, and labels in all their forms", async () => {
    const choices = ["red", "blue", "green"];
    const expected = { question: "Which?", choices, label: 1, row: 1 };
    expect(await read({ question: "Which?", choices, label: 1 })).toEqual(expected);
    expect(await read({ question: "Which?", options: choices, answer: "B" })).toEqual(expected);
    expect(await read({ question: "Which?", choices, answer: "blue" })).toEqual(expected);
    expect(await read({ question: "Which?", choices, label: "2" }, { labelBase: 1 })).toEqual(expected);
    const named = { text: choices, label: ["1", "2", "3"] };
    expect(await read({ question: "Which?", choices: named, answerKey: "2" })).toEqual(expected);
    const columns = { ending0: "red", ending1: "blue", ending2: "green", label: "1" };
    expect(await read({ sent1: "Pick.", ...columns })).toEqual({ context: "Pick.", choices, label: 1, row: 1 });
    expect(await read({ question: "Which?", A: "red", B: "blue", C: "green", answer: "B" })).toEqual(expected);
    expect(await read({ question: "Which?", choices, label: -1 })).toEqual({ question: "Which?", choices, row: 1 });
  });

  it("reports labels that are no choice, and rows without choices", async () => {
    const row = { question: "Which?", choices: ["a", "b"] };
    await expect(read({ ...row, label: 2 })).rejects.toThrow(failure("DATA_VALUE", /labelBase: 1/));
    await expect(read({ ...row, label: "none" })).rejects.toThrow(failure("DATA_VALUE", /one of 2 choices/));
    await expect(read({ question: "Which?" })).rejects.toThrow(failure("DATA_COLUMN_MISSING", /columns question/));
  });
});

describe("readRankingRows", () => {
  const read = async (rows: JsonObject[]) => collectRows(await readRankingRows(rowsOf(rows)));

  it("reads lists, positives and negatives, and groups rows by query", async () => {
    const expected = [{ query: "q", candidates: ["a", "b"], relevance: [1, 0], row: 1 }];
    expect(await read([{ query: "q", candidates: ["a", "b"], relevance: [1, 0] }])).toEqual(expected);
    expect(await read([{ query: "q", positive: "a", negatives: [{ text: "b" }] }])).toEqual(expected);
    const path = file("pairs.tsv", "query\tdocument\tlabel\nq\ta\t1\nr\tc\t2\nq\tb\t0\n");
    expect(await collectRows(await readRankingRows(path))).toEqual([
      ...expected,
      { query: "r", candidates: ["c"], relevance: [2], row: 2 },
    ]);
    expect(await read([{ query: "q", documents: ["a"] }])).toEqual([{ query: "q", candidates: ["a"], row: 1 }]);
    await expect(read([{ query: "q", candidates: ["a", "b"], labels: [1] }])).rejects.toThrow(
      failure("DATA_VALUE", /2 numbers/),
    );
    await expect(read([{ query: "q" }])).rejects.toThrow(failure("DATA_COLUMN_MISSING", /columns query/));
  });

  it("reads BEIR's three files", async () => {
    const corpus = file("corpus.jsonl", '{"_id":"1","title":"T","text":"one"}\n{"_id":"2","title":"","text":"two"}\n');
    const queries = file("queries.jsonl", '{"_id":"q","text":"which?"}\n{"_id":"r","text":"unjudged"}\n');
    const qrels = file("qrels.tsv", "query-id\tcorpus-id\tscore\nq\t2\t1\nq\t1\t2\nq\t3\t1\n");
    const data = await readBeir({ corpus, queries, qrels });
    expect([...data.corpus]).toEqual([
      ["1", "T one"],
      ["2", "two"],
    ]);
    expect([...data.queries.keys()]).toEqual(["q"]);
    expect(await collectRows(data.rows)).toEqual([
      { query: "which?", candidates: ["two", "T one"], relevance: [1, 2], row: 1 },
    ]);
    expect(data.rows.warnings.list()).toMatchObject([{ code: "DATA_ID_UNKNOWN", count: 1 }]);
  });
});

it("readTaskRows goes by the task's name", async () => {
  const read = async (task: "classification" | "multi-label" | "regression") =>
    (await collectRows(await readTaskRows(task, rowsOf([{ text: "x", label: "1" }]))))[0].label;
  expect([await read("classification"), await read("multi-label"), await read("regression")]).toEqual(["1", ["1"], 1]);
});
