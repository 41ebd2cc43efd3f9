import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { memoryDocuments, openDocumentStore, writeDocumentStore } from "./document-store.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-documents-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ids = fc
  .array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 })
  .map((list) => Int32Array.from(list));
const paragraph = fc.record(
  {
    sentences: fc.array(ids, { minLength: 1, maxLength: 3 }),
    links: fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: ["sentences"] },
);
const document = fc.record({
  title: fc.oneof(ids, fc.constant(new Int32Array(0))),
  sections: fc.array(fc.array(paragraph, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
});

test("what is written is read again, document by document", () => {
  const path = join(folder, "documents.bin");
  fc.assert(
    fc.property(fc.array(document, { minLength: 1, maxLength: 5 }), (documents) => {
      writeDocumentStore(path, documents);
      const store = openDocumentStore(path);
      const memory = memoryDocuments(documents);
      expect([store.count, store.tokens]).toEqual([memory.count, memory.tokens]);
      documents.forEach((expected, position) => {
        expect(store.document(position)).toEqual(expected);
        expect(store.length(position)).toBe(memory.length(position));
      });
      store.close();
    }),
    { numRuns: 30 },
  );
});
