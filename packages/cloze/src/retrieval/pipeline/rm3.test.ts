import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openIndex } from "../store/search-index.js";
import { indexRm3 } from "./index-rm3.js";
import { rm3Terms } from "./rm3.js";

test("RM3 by hand", () => {
  const documents = [
    { score: 3, terms: ["cat", "cat", "purr", "the"] },
    { score: 1, terms: ["dog", "bark"] },
  ];
  const shareOf = (term: string) => (term === "the" ? 0.9 : 0.01);
  const terms = rm3Terms(["cat"], documents, shareOf, { originalWeight: 0.5 });
  // Of 3 cat 2/3 and purr 1/3, of 1 each half; together 4.
  expect(Object.fromEntries(terms)).toEqual({
    cat: expect.closeTo(0.5 + 0.5 * (2 / 4), 10),
    purr: expect.closeTo(0.5 * (1 / 4), 10),
    bark: expect.closeTo(0.5 * (0.5 / 4), 10),
    dog: expect.closeTo(0.5 * (0.5 / 4), 10),
  });
  expect(Object.fromEntries(rm3Terms(["cat", "cat", "dog"], [], shareOf))).toEqual({ cat: 2 / 3, dog: 1 / 3 });
  expect([...rm3Terms(["cat"], documents, shareOf, { feedbackTerms: 1 }).keys()]).toEqual(["cat"]);
});

test("finds what shares no word with the query, by way of what does", async () => {
  const index = openIndex(mkdtempSync(join(tmpdir(), "cloze-rm3-")), { write: true, create: {} });
  index.add([
    { id: "1", text: "feline purr whiskers" },
    { id: "2", text: "purr whiskers whiskers" },
    ...Array.from({ length: 30 }, (_, i) => ({ id: `x${i}`, text: `other ${i}` })),
  ]);
  expect(index.searchWords("feline", { depth: 5 }).map(({ id }) => id)).toEqual(["1"]);
  const [ranking] = await indexRm3(index).search(["feline"], { depth: 5 });
  expect(ranking.map(({ id }) => id)).toEqual(["1", "2"]);
  const [same] = await indexRm3(index, { originalWeight: 1 }).search(["feline"], { depth: 5 });
  expect(same[0].id).toBe("1");
  index.close();
});
