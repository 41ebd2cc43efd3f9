import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { collectRows } from "../../data/readers/open-rows.js";
import { createWarnings } from "../../data/readers/warnings.js";
import { findCollection, indexCollection, qrelsLines, readDocuments, readQrels, readQueries } from "./index.js";

/** A folder with some files. */
function folderOf(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "cloze-collection-"));
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, name.endsWith(".gz") ? gzipSync(content) : content);
  }
  return folder;
}
const fileOf = (name: string, content: string): string => join(folderOf({ [name]: content }), name);
const codes = (warnings: ReturnType<typeof createWarnings>) =>
  Object.fromEntries(warnings.list().map(({ code, count }) => [code, count]));

test("BEIR's layout, flat, packed, without a split", () => {
  const names = (files: string[], split?: string) => {
    const folder = folderOf(Object.fromEntries(files.map((file) => [file, "x"])));
    const { corpus, queries, qrels, split: found } = findCollection(folder, split);
    return [...[corpus, queries, qrels].map((path) => path.slice(folder.length + 1)), found];
  };
  const beir = ["corpus.jsonl", "queries.jsonl", "qrels/train.tsv", "qrels/test.tsv", "qrels/dev.tsv"];
  expect(names(beir)).toEqual(["corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "test"]);
  expect(names(beir, "dev")).toEqual(["corpus.jsonl", "queries.jsonl", "qrels/dev.tsv", "dev"]);
  const flat = ["corpus.jsonl.gz", "queries_test.jsonl", "queries_train.jsonl", "qrels_test.tsv.gz", "qrels_train.tsv"];
  expect(names(flat)).toEqual(["corpus.jsonl.gz", "queries_test.jsonl", "qrels_test.tsv.gz", "test"]);
  expect(names(["corpus.tsv", "queries.tsv", "qrels.txt"])).toEqual([
    "corpus.tsv",
    "queries.tsv",
    "qrels.txt",
    undefined,
  ]);
  expect(names(["corpus.jsonl", "queries.jsonl", "qrels/dev.tsv"])[3]).toBe("dev");
  const folder = folderOf(Object.fromEntries(beir.map((file) => [file, "x"])));
  expect(() => findCollection(folder, "valid")).toThrow(/dev, test, train/);
  expect(() => findCollection(join(folder, "nowhere"))).toThrow(/no folder/);
  expect(() => findCollection(folderOf({ "corpus.jsonl": "x" }))).toThrow(/judgements/);
});

test.each([
  ["BEIR", "query-id\tcorpus-id\tscore\r\nq1\td1\t2\r\nq1\td2\t0\r\n"],
  ["no header", "q1\td1\t2\nq1\td2\t0\n"],
  ["TREC", "q1 0 d1 2\nq1 0 d2 0\n"],
  ["TREC with tabs", "q1\tQ0\td1\t2\nq1\tQ0\td2\t0\n"],
  ["TREC with tabs and blanks", "q1 0\td1 2\nq1 0\td2 0\n"],
  ["other order, more columns", "score\tnote\tdoc_id\tqid\n2\tx\td1\tq1\n0.0\ty\td2\tq1\n"],
  ["unknown header", "Frage\tDokument\tNote\nq1\td1\t2\nq1\td2\t0\n"],
])("judgements: %s", async (_, content) => {
  const warnings = createWarnings();
  const qrels = await readQrels(fileOf("qrels.tsv", content), warnings);
  expect(qrels).toEqual(
    new Map([
      [
        "q1",
        new Map([
          ["d1", 2],
          ["d2", 0],
        ]),
      ],
    ]),
  );
  expect(warnings.list()).toEqual([]);
  expect([...qrelsLines(qrels)].join("")).toBe("q1 0 d1 2\nq1 0 d2 0\n");
});

test("judgements of other kinds, and broken ones", async () => {
  const warnings = createWarnings();
  const read = (name: string, content: string) => readQrels(fileOf(name, content), warnings);
  const one = new Map([["1", new Map([["7", 1]])]]);
  expect(await read("qrels.csv", "1,7\n")).toEqual(one);
  expect(await read("qrels.csv", 'query-id,corpus-id,score\n1,"a, ""b""",1\n"1", c ,"2"\n')).toEqual(
    new Map([
      [
        "1",
        new Map([
          ['a, "b"', 1],
          ["c", 2],
        ]),
      ],
    ]),
  );
  expect(await read("qrels.jsonl", '{"query_id": 1, "doc_id": 7, "relevance": 1}\n')).toEqual(one);
  expect(warnings.list()).toEqual([]);
  expect(await read("qrels.tsv", "1\t7\t0\n1\t7\t1\n1\t8\thigh\n1\t\t1\n")).toEqual(one);
  expect(codes(warnings)).toEqual({ QRELS_TWICE: 1, QRELS_ROW: 2 });
  expect(await read("qrels.tsv", "1\t7\t1.0\n1\t8\t0.5\n")).toEqual(
    new Map([["1", new Map(Object.entries({ 7: 1, 8: 0.5 }))]]),
  );
  expect(codes(warnings)).toMatchObject({ QRELS_FRACTION: 1 });
  await expect(read("qrels.tsv", "query-id\tcorpus-id\tscore\n")).rejects.toMatchObject({ code: "QRELS_EMPTY" });
});

test("documents: numbers as ids, no titles, null, lists, repeats, odd rows", async () => {
  const warnings = createWarnings();
  const path = fileOf(
    "corpus.jsonl",
    [
      { _id: 7, text: "a cat", url: "x" },
      { _id: "8", title: "Dogs", text: null },
      { _id: 9, title: null, text: ["two", "parts"] },
      { title: "no id", text: "…" },
      { _id: "10", text: "" },
      { _id: 7, text: "a newer cat" },
    ]
      .map((row) => JSON.stringify(row))
      .join("\r\n"),
  );
  const documents = await collectRows(readDocuments(path, warnings));
  expect(documents.map(({ id, title, text }) => [id, title, text])).toEqual([
    ["7", "", "a cat"],
    ["8", "Dogs", ""],
    ["9", "", "two parts"],
    ["10", "", ""],
    ["7", "", "a newer cat"],
  ]);
  expect(documents[0].fields).toEqual({ url: "x" });
  const index = await indexCollection(readDocuments(path, createWarnings()), { warnings });
  expect(codes(warnings)).toEqual({ DATA_ID_MISSING: 1, DATA_TEXT_EMPTY: 1, DATA_ID_DUPLICATE: 1 });
  expect([index.size, index.has("7"), index.has("11")]).toEqual([4, true, false]);
  const [[hit, ...more]] = (await index.bm25?.search(["cat newer"], { depth: 10 })) ?? [];
  // Only the last of the two: N = 4, df = 1 for each word, three words long where the mean is 6 / 4.
  const expected = (2 * Math.log(1 + 3.5 / 1.5) * 2.2) / (1 + 1.2 * (0.25 + (0.75 * 3) / 1.5));
  expect(hit).toEqual({ id: "7", score: expect.closeTo(expected, 5) });
  expect(more).toEqual([]);
});

test("a title that only later documents have", async () => {
  const rows = Array.from({ length: 150 }, (_, i) => ({ _id: i, text: "x", ...(i === 140 && { title: "late" }) }));
  const path = fileOf("corpus.jsonl", rows.map((row) => JSON.stringify(row)).join("\n"));
  const documents = await collectRows(readDocuments(path, createWarnings()));
  expect(documents.filter(({ title }) => title !== "")).toEqual([{ id: "140", title: "late", text: "x", fields: {} }]);
});

test("tables, with and without a header, and with lines of other lengths", async () => {
  const warnings = createWarnings();
  const read = async (content: string) =>
    (await collectRows(readDocuments(fileOf("corpus.tsv", content), warnings))).map(({ id, title, text }) => [
      id,
      title,
      text,
    ]);
  expect(await read("id\ttitle\ttext\n1\tA\tb c\n2\t\td\n")).toEqual([
    ["1", "A", "b c"],
    ["2", "", "d"],
  ]);
  expect(await read("1\tb c\n2\td\n")).toEqual([
    ["1", "", "b c"],
    ["2", "", "d"],
  ]);
  expect(warnings.list()).toEqual([]);
  expect(await read("id\ttext\n1\tb\tmore\n2\n")).toEqual([
    ["1", "", "b"],
    ["2", "", ""],
  ]);
  expect(codes(warnings)).toEqual({ DATA_ROW_UNEVEN: 2, DATA_TEXT_EMPTY: 1 });
});

test("queries: only those that are wanted; the last of repeats", async () => {
  const warnings = createWarnings();
  const path = fileOf(
    "queries.jsonl",
    '{"_id": 1, "text": "a"}\n{"_id": "2", "text": ""}\n{"_id": 1, "text": "b", "metadata": {}}\n',
  );
  expect(await readQueries(path, warnings, new Set(["1"]))).toEqual(new Map([["1", "b"]]));
  expect(codes(warnings)).toEqual({ DATA_ID_DUPLICATE: 1 });
  await readQueries(path, warnings);
  expect(codes(warnings)).toEqual({ DATA_ID_DUPLICATE: 2, DATA_QUERY_EMPTY: 1 });
});

test("vectors that are no numbers are refused", async () => {
  const documents = async function* () {
    yield { id: "a", title: "", text: "x", fields: {} };
  };
  const vectors = { width: 2, embed: () => Float32Array.of(1, Number.NaN) };
  const broken = indexCollection(documents(), { vectors, warnings: createWarnings() });
  await expect(broken).rejects.toMatchObject({ code: "INDEX_VECTOR" });
});
