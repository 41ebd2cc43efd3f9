// What recipes on text make where no real text is at hand.
import { expect, test } from "vitest";
import { madeContracts } from "./contract-clauses.js";
import { hiddenWordClasses } from "./hidden-word-classes.js";
import { madeMeetings } from "./meetings.js";
import { madeRegisters } from "./registers.js";
import { swappedWords } from "./swapped-words.js";

const sizes = { large: 60_000, small: 6000, held: 3000, labelled: 20, test: 30 };
const bytes = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);

test("two registers: of the sizes asked for, from the seed, nothing in two lists, few words in common", () => {
  const made = madeRegisters(3, sizes);
  expect(madeRegisters(3, sizes)).toEqual(made);
  expect(madeRegisters(4, sizes)).not.toEqual(made);
  for (const [texts, wanted] of [
    [made.large, sizes.large],
    [made.small, sizes.small],
    [made.smallHeld, sizes.held],
  ] as const) {
    expect(bytes(texts)).toBeGreaterThanOrEqual(wanted);
    expect(bytes(texts)).toBeLessThan(wanted * 1.2);
  }
  expect([made.labelled.length, made.test.length]).toEqual([20, 30]);
  const all = [...made.small, ...made.smallHeld, ...made.labelled.map(({ text }) => text)];
  expect(new Set(all).size).toBe(all.length);
  const words = (texts: readonly string[]) => new Set(texts.join(" ").replaceAll(".", "").split(" "));
  const [large, small] = [words(made.large), words(made.small)];
  const own = [...small].filter((word) => !large.has(word)).length / small.size;
  expect(own).toBeGreaterThan(0.5);
  expect(own).toBeLessThan(0.95);
});

test("contracts: clauses with one or two labels, names that are capitalised, tests of other contracts", () => {
  const made = madeContracts(3);
  expect(madeContracts(3)).toEqual(made);
  expect([made.labelled.length, made.tagged.length, made.taggedTest.length]).toEqual([500, 500, 500]);
  const counts = made.labelled.map(({ label }) => (label as string[]).length);
  expect(new Set(counts)).toEqual(new Set([1, 2]));
  for (const { tokens, tags = [] } of made.tagged) {
    expect(tags.length).toBe(tokens.length);
    tags.forEach((tag, i) => {
      expect(tag !== "O").toBe(i > 0 && /^\p{Lu}/u.test(tokens[i]));
      if (tag === "I-NAME") expect(tags[i - 1]).not.toBe("O");
    });
  }
  const known = new Set(made.documents.flat());
  expect(made.test.some(({ text }) => known.has(text))).toBe(false);
});

test("exchanged words: two of the four that are asked differ from the sentence", () => {
  const language = hiddenWordClasses(2);
  const { sentences, labels } = swappedWords(language, 50, 7);
  const before = language.sentences(50, 7);
  sentences.forEach((line, s) => {
    const asked = [...labels[s]].filter((label) => label !== -100);
    expect(asked.sort()).toEqual([0, 0, 1, 1]);
    line.forEach((id, i) => {
      expect(id !== before[s][i]).toBe(labels[s][i] === 1);
    });
  });
});

test("meetings: what a question asks for is said in its turns, and its words hardly elsewhere", () => {
  const made = madeMeetings(3, { meetings: 6 });
  expect(madeMeetings(3, { meetings: 6 })).toEqual(made);
  expect(made.questions).toHaveLength(24);
  const byId = new Map(made.meetings.map(({ id, turns }) => [id, turns]));
  for (const { text, meeting, spans } of made.questions) {
    const turns = byId.get(meeting) ?? [];
    const asked = text.split(" ").filter((word) => word.startsWith("t"));
    const count = (from: number, to: number) =>
      turns
        .slice(from, to)
        .reduce((sum, [, said]) => sum + said.split(" ").filter((one) => asked.includes(one)).length, 0);
    const [[from, to]] = spans;
    const inside = count(from, to + 1);
    expect(inside).toBeGreaterThan(0);
    expect(count(0, turns.length) - inside).toBeLessThan(inside);
  }
});
