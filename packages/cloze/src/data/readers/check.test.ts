import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../text/index.js";
import { checkData, type DataReport } from "./check.js";
import { rowsOf } from "./open-rows.js";
import { readTaskRows } from "./tasks.js";
import type { TextRow } from "./text-rows.js";

const rows = (...texts: [text: string, label?: string][]): TextRow[] =>
  texts.map(([text, label], i) => ({ text, ...(label !== undefined && { label }), row: i + 1 }));
const counts = ({ findings }: DataReport): Record<string, number> =>
  Object.fromEntries(findings.map(({ code, count }) => [code, count]));

describe("checkData", () => {
  it("finds nothing where nothing is wrong", async () => {
    const report = await checkData(rows(["good film", "1"], ["bad film", "0"]), "classification");
    expect(report).toEqual({
      rows: 2,
      unlabelled: 0,
      labels: { 0: 1, 1: 1 },
      characters: { least: 8, median: 8, mean: 8.5, percentile95: 9, most: 9 },
      findings: [],
      ok: true,
    });
  });

  it("finds empty, repeated, contradicting and unlabelled texts, errors first", async () => {
    const report = await checkData(rows(["a", "1"], ["a", "1"], ["a", "0"], [" ", "0"], ["b"]), "classification");
    expect(counts(report)).toEqual({ TEXT_EMPTY: 1, TEXT_DUPLICATE: 1, LABEL_CONFLICT: 1, LABEL_MISSING: 1 });
    expect(report.findings[0]).toMatchObject({ code: "TEXT_EMPTY", level: "error", examples: ["row 4"] });
    expect(report.ok).toBe(false);
  });

  it("finds labels that are unknown, alone or rare", async () => {
    expect(counts(await checkData(rows(["a", "1"], ["b", "1"]), "classification"))).toEqual({ ONE_CLASS: 2 });
    expect(counts(await checkData(rows(["a", "1"], ["b", "2"]), "classification", { labels: ["1"] }))).toEqual({
      LABEL_UNKNOWN: 1,
    });
    const variants = await checkData(rows(["a", "Yes"], ["b", "yes "], ["c", "no"]), "classification");
    expect(variants.findings).toMatchObject([{ code: "LABEL_VARIANTS", examples: ['["Yes","yes "]'] }]);
    const many = rows(
      ...Array.from({ length: 11 }, (_, i): [string, string] => [`text ${i}`, i === 0 ? "rare" : "often"]),
    );
    expect((await checkData(many, "classification")).findings).toMatchObject([
      { code: "IMBALANCE", level: "warning", examples: ["rare: 1"] },
    ]);
  });

  it("holds two sets against each other", async () => {
    const dev = rows(["a", "1"], ["c", "3"], ["d", "3"]);
    const report = await checkData(rows(["a", "1"], ["b", "2"]), "classification", { dev });
    expect(counts(report)).toEqual({});
    expect(report.dev && counts(report.dev)).toEqual({ LABEL_UNSEEN: 2, TEXT_IN_BOTH: 1 });
    expect(report.ok).toBe(false);
  });

  it("counts tokens, and rows that are too long", async () => {
    const countTokens = (text: string) => text.split(" ").length;
    const report = await checkData(rows(["a b c", "1"], ["a", "2"]), "classification", { countTokens, maxTokens: 2 });
    expect(report.tokens).toMatchObject({ least: 1, most: 3, mean: 2 });
    expect(report.findings).toMatchObject([{ code: "TOO_LONG", count: 1, examples: ["row 1: 3"] }]);
  });

  const check = async (task: Parameters<typeof readTaskRows>[0], values: JsonObject[]) =>
    checkData(await readTaskRows(task, rowsOf(values), { onBadRow: "skip" }), task);

  it("says which rows could not be read", async () => {
    const report = await check("regression", [
      { text: "a", score: 1 },
      { text: "b", score: "x" },
      { text: "c", score: 2 },
    ]);
    expect(counts(report)).toEqual({ DATA_ROW_SKIPPED: 1 });
    expect(report).toMatchObject({ rows: 2, ok: false, values: { least: 1, most: 2 } });
    expect(
      counts(
        await check("regression", [
          { text: "a", score: 1 },
          { text: "b", score: 1 },
        ]),
      ),
    ).toEqual({ ONE_VALUE: 2 });
  });

  it("finds answers that are elsewhere, in other case, or nowhere", async () => {
    const ask = (text: string, start: number, question: string) => ({
      question,
      context: "Ada wrote. Then Ada slept.",
      answers: [{ text, answer_start: start }],
    });
    const report = await check("question-answering", [
      ask("Ada", 16, "1?"),
      ask("Ada", 3, "2?"),
      ask("then", 11, "3?"),
      ask("Bob", 0, "4?"),
      { ...ask("", 0, "5?"), answers: [], is_impossible: false },
    ]);
    expect(counts(report)).toEqual({
      ANSWER_OFFSET: 1,
      ANSWER_CASE: 1,
      ANSWER_ABSENT: 1,
      ANSWER_MISSING: 1,
      LABEL_MISSING: 1,
    });
    expect(report.findings.find(({ code }) => code === "ANSWER_OFFSET")?.examples).toEqual([
      'row 2: "Ada" at 3, found at 0',
    ]);
  });

  it("finds questions whose id an earlier one has", async () => {
    const rows = ["a", "b", "a"].map((id) => ({ id, question: `${id}?`, context: `Ada ${id}`, answers: ["Ada"] }));
    const report = await check("question-answering", rows);
    expect(report.findings.find(({ code }) => code === "ID_DUPLICATE")).toMatchObject({
      level: "warning",
      count: 1,
      examples: ['row 3: "a"'],
    });
  });

  it("finds tags that break their scheme, and counts spans", async () => {
    const report = await check("token-classification", [
      { tokens: ["Ada", "L", "ran"], tags: ["B-PER", "I-PER", "O"] },
      { tokens: ["in", "Kent"], tags: ["O", "I-LOC"] },
      { tokens: ["to", "Kent"], tags: ["O", "B-LOC"] },
      { tokens: ["B", "C"], tags: ["B-PER", "B-LOC"] },
    ]);
    expect(report).toMatchObject({ scheme: "BIO", labels: { PER: 2, LOC: 3 } });
    expect(report.findings).toMatchObject([
      { code: "TAG_TRANSITION", count: 1, examples: ["row 2, token 2: I-LOC after O"] },
    ]);
    const words = await check("token-classification", [{ tokens: ["a", "b"], tags: ["DET", "NOUN"] }]);
    expect(words).toMatchObject({ labels: { DET: 1, NOUN: 1 }, findings: [] });
  });

  it("looks at choices and rankings", async () => {
    const choice = await check("multiple-choice", [
      { question: "1?", choices: ["a", "a"], label: 0 },
      { question: "2?", choices: ["a"], label: 0 },
    ]);
    expect(counts(choice)).toEqual({ CHOICES_EQUAL: 1, CHOICES_FEW: 1 });
    const ranking = await check("ranking", [
      { query: "q", candidates: ["a", "a"], relevance: [0, 0] },
      { query: "r", candidates: [], relevance: [] },
      { query: "s", candidates: [" "], relevance: [1] },
    ]);
    expect(counts(ranking)).toEqual({ CANDIDATES_EQUAL: 1, RELEVANT_NONE: 1, CANDIDATES_NONE: 1, DOCUMENT_EMPTY: 1 });
  });
});
