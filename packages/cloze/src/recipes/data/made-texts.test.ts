// What recipes on text make where no real text is at hand.
import { expect, test } from "vitest";
import { randomSource } from "../../data/random-source.js";
import { splitSentences } from "../../text/documents.js";
import { madeContracts } from "./contract-clauses.js";
import { hiddenWordClasses } from "./hidden-word-classes.js";
import { madeMeetings } from "./meetings.js";
import { madeRegisters } from "./registers.js";
import { scatteredTopics } from "./scattered-topics.js";
import { cutContext } from "./spans-and-names.js";
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

test("scattered topics: some blocks of a document speak of its topic, pairs of one topic match, no document comes twice", () => {
  const made = scatteredTopics(3);
  const pairs = made.alike(40);
  expect(scatteredTopics(3).alike(40)).toEqual(pairs);
  expect(scatteredTopics(4).alike(40)).not.toEqual(pairs);
  const topicsOf = (text: string) => new Set(Array.from(text.matchAll(/t(\d+)w/g), ([, topic]) => topic));
  const known = new Set(made.vocabulary);
  const documents = [
    ...pairs.flatMap(({ texts }) => texts),
    ...made.test(40).flatMap((row) => [row.first, row.second]),
  ];
  expect(new Set(documents).size).toBe(160);
  for (const text of documents) {
    const blocks = splitSentences(text);
    expect(blocks).toHaveLength(16);
    expect(topicsOf(text).size).toBe(1);
    expect(blocks.filter((block) => topicsOf(block).size > 0).length).toBeLessThanOrEqual(6);
    for (const block of blocks) {
      expect(block.split(" ")).toHaveLength(16);
      for (const word of block.split(" ")) expect(known.has(word)).toBe(true);
    }
  }
  for (const { texts } of pairs) expect(topicsOf(texts[0])).toEqual(topicsOf(texts[1]));
  const labels = made.test(40).map(({ first, second, label }) => {
    expect(label === 1).toBe([...topicsOf(first)][0] === [...topicsOf(second)][0]);
    return label;
  });
  expect(labels.filter((label) => label === 1)).toHaveLength(20);
  const words = documents.join(" ").split(/\s/);
  const share = words.filter((word) => word.startsWith("t")).length / words.length;
  expect(Math.abs(share - (6 * 0.4) / 16)).toBeLessThan(0.02);
  const count = (word: string) => words.filter((one) => one === word).length;
  expect(count("w0") / count("w9")).toBeGreaterThan(7);
  expect(count("w0") / count("w9")).toBeLessThan(14);
});

test("a context is cut around its answer, wherever that stands", () => {
  const words = Array.from({ length: 260 }, (_, i) => `word${i}`);
  const context = words.join(" ");
  for (const at of [0, 1, 50, 130, 258, 259]) {
    const text = words.slice(at, at + 2).join(" ");
    for (let seed = 0; seed < 10; seed++) {
      const cut = cutContext(context, { text, start: context.indexOf(text) }, randomSource(seed))!;
      expect(cut.context.slice(cut.start, cut.start + text.length)).toBe(text);
      expect(cut.context.split(" ")).toHaveLength(100);
    }
  }
  const short = cutContext("a b c", { text: "b", start: 2 }, randomSource(1));
  expect(short).toEqual({ context: "a b c", start: 2 });
  expect(cutContext(context, { text: context, start: 0 }, randomSource(1))).toBeUndefined();
});
