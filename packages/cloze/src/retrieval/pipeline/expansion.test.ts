import { expect, test } from "vitest";
import { Bm25Index } from "../bm25.js";
import { expandDocuments, expandQueries } from "./expansion.js";
import { bm25Retriever } from "./memory-retrievers.js";

const documents = ["a cat sleeps", "a dog barks", "rain"].map((text, i) => ({ id: `d${i}`, text }));

test("what a hook adds is found; what it leaves alone stays as it was", async () => {
  const questions = new Map([["d0", ["which animal purrs", ""]]]);
  const expanded: typeof documents = [];
  for await (const document of expandDocuments(documents, ({ id }) => questions.get(id) ?? [])) expanded.push(document);
  expect(expanded.map(({ text }) => text)).toEqual(["a cat sleeps which animal purrs", "a dog barks", "rain"]);
  expect(expanded[1]).toBe(documents[1]);
  const index = new Bm25Index(expanded.map(({ text }) => text));
  const retriever = bm25Retriever(
    index,
    documents.map(({ id }) => id),
  );
  const [found] = await retriever.search(["purrs"], { depth: 3 });
  expect(found.map(({ id }) => id)).toEqual(["d0"]);
  const wider = expandQueries(retriever, async (query) => (query === "hound" ? "hound dog" : query));
  expect(wider.unfound).toBe(0);
  const [more, none] = await wider.search(["hound", "wolf"], { depth: 3 });
  expect([more.map(({ id }) => id), none]).toEqual([["d1"], []]);
});
