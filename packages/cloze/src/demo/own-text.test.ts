import { expect, test } from "vitest";
import { prepareOwnText } from "./own-text.js";

const lines = Array.from({ length: 60 }, (_, i) => `line ${i} speaks of thing${i} and of place${i} in its own words`);

test("a query and its document are the two parts of a held-out line, and nothing trained on shows both", () => {
  const { task, pairs, lines: usable } = prepareOwnText([...lines, "too short", ""]);
  expect(usable).toEqual(lines);
  expect(task.queries).toHaveLength(6);
  task.queries.forEach((query, i) => {
    const position = task.answers[i];
    const words = [...query.split(" "), ...task.documents[position].split(" ")].sort();
    expect(words).toEqual(lines[position].split(" ").sort());
    expect(pairs.some((pair) => `${pair.query} ${pair.document}`.includes(`thing${position} `))).toBe(false);
  });
  expect(pairs).toHaveLength(54 * 4);
});

test("too little text is refused", () => {
  expect(() => prepareOwnText(lines.slice(0, 5))).toThrow(/20 lines/);
});

test("lines of a script that writes no spaces are cut between characters", () => {
  const plain = Array.from({ length: 60 }, (_, i) => `自然语言处理第${i}章说的是词和句子`);
  const { task, pairs, lines: usable } = prepareOwnText([...plain, "太短了", "pneumonoultramicroscopic"]);
  expect(usable).toEqual(plain);
  expect(pairs).toHaveLength(54 * 4);
  task.queries.forEach((query, i) => {
    const document = task.documents[task.answers[i]];
    expect([...query, ...document].sort()).toEqual([...plain[task.answers[i]]].sort());
    expect(query.length).toBeGreaterThan(1);
  });
});
