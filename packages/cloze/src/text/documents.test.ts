import { expect, test } from "vitest";
import { cleanDocument, documentOfJson, documentsOfLines, splitSentences } from "./documents.js";

const textsOf = (lines: string[]) =>
  [...documentsOfLines(lines)].map(({ sections }) => sections.flat().map(({ text }) => text));

test("a blank line ends a paragraph, two end a document, and so does a form feed", () => {
  expect(textsOf(["a", "b", "", "c", "", "", "d", "", "", "", "e", "\ff", "", "g"])).toEqual([
    ["a b", "c"],
    ["d"],
    ["e"],
    ["f", "g"],
  ]);
  expect(textsOf(["", "", ""])).toEqual([]);
});

test("sentences are split by Unicode's rules", () => {
  expect(splitSentences("One comes first. Is two second? Yes!  ")).toEqual([
    "One comes first.",
    "Is two second?",
    "Yes!",
  ]);
});

test("JSON documents: a text, or sections with links; other things are refused", () => {
  expect(documentOfJson({ title: "T", text: "a\nb\n\nc" })).toEqual({
    title: "T",
    sections: [[{ text: "a b" }, { text: "c" }]],
  });
  const linked = { sections: [["x"], [{ text: "y", links: ["T"] }]] };
  expect(documentOfJson(linked)).toEqual({ sections: [[{ text: "x" }], [{ text: "y", links: ["T"] }]] });
  for (const wrong of [null, 3, {}, { sections: [3] }, { sections: [[{}]] }]) {
    expect(() => documentOfJson(wrong)).toThrow(/sections/);
  }
});

test("what is too short is left out", () => {
  const long = "This is a sentence of more than twenty letters. And here is another one of them. Short.";
  const cleaned = cleanDocument({ sections: [[{ text: long }, { text: "Too short a paragraph." }]] }, { document: 50 });
  expect(cleaned?.sections).toHaveLength(1);
  expect(cleaned?.sections[0]).toHaveLength(1);
  expect(cleaned?.sections[0][0].sentences).toEqual([
    "This is a sentence of more than twenty letters.",
    "And here is another one of them.",
  ]);
  expect(cleanDocument({ sections: [[{ text: long }]] })).toBeUndefined();
});
