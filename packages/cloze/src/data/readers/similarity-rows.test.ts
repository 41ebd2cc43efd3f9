import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readSimilarityRows } from "./similarity-rows.js";
import { createWarnings } from "./warnings.js";

async function read(name: string, content: string) {
  const path = join(mkdtempSync(join(tmpdir(), "cloze-similarity-")), name);
  writeFileSync(path, content);
  const warnings = createWarnings();
  const { rows } = await readSimilarityRows(path, warnings);
  return { rows: rows.map(({ first, second, score }) => [first, second, score]), warnings: warnings.list() };
}
const pairs = [
  ["a b", "c d", 2.5],
  ["e", "f, g", 5],
];

test.each([
  ["tsv", "sentence1\tsentence2\tscore\tgenre\r\na b\tc d\t2.5\tx\r\ne\tf, g\t5\ty\r\n"],
  ["csv", 'score,text_a,text_b\n2.5,a b,c d\n5,e,"f, g"\n'],
  ["csv", 'similarity_score;Sentence A;Sentence B\n2.5;"a b";c d\n5;e;f, g\n'],
  [
    "jsonl",
    '{"sentence1":"a b","sentence2":"c d","relatedness":2.5}\n{"sentence1":"e","sentence2":"f, g","relatedness":"5"}\n',
  ],
  ["tsv", "id\tpremise\thypothesis\tgold\n1\ta b\tc d\t2.5\n2\te\tf, g\t5\n"],
])("names of columns (%s)", async (ending, content) => {
  expect(await read(`pairs.${ending}`, content)).toEqual({ rows: pairs, warnings: [] });
});

test("no header: the two longest texts and the fractions; lines may be uneven", async () => {
  const plain =
    "main\tMSRvid\t2012\t0001\t2.5\ta girl styles\ther hair today\nmain\tMSRvid\t2012\t0002\t5\ta man walks\ta man is walking\tmore\n";
  const { rows, warnings } = await read("sts.tsv", plain);
  expect(rows).toEqual([
    ["a girl styles", "her hair today", 2.5],
    ["a man walks", "a man is walking", 5],
  ]);
  expect(warnings.map(({ code }) => code)).toEqual(["DATA_ROW_UNEVEN"]);
  expect((await read("three.tsv", "a b\tc d\t2.5\ne\tf, g\t5\n")).rows).toEqual(pairs);
});

test("quotes around fields of TSV, as pandas and spreadsheets write them, and bare ones", async () => {
  const texts = [
    ['a "b" c', "d", 2.5],
    ["e", "f", 5],
  ];
  const ofPandas = 'sentence1\tsentence2\tscore\n"a ""b"" c"\td\t2.5\ne\tf\t5\n';
  expect(await read("pairs.tsv", ofPandas)).toEqual({ rows: texts, warnings: [] });
  const all = '"sentence1"\t"sentence2"\t"score"\n"a ""b"" c"\t"d"\t"2.5"\n"e"\t"f"\t"5"\n';
  expect(await read("pairs.tsv", all)).toEqual({ rows: texts, warnings: [] });
  const bare = 'sentence1\tsentence2\tscore\na "b" c\td\t2.5\ne\tf\t5\n';
  expect((await read("pairs.tsv", bare)).rows).toEqual(texts);
  // The STS benchmark's own files: tabs and bare quotes under the name CSV, and more fields in some lines.
  const benchmark =
    'x\tMSR\t2012\t0001\t2.5\ta "b" c d e f\tg h i j\nx\tMSR\t2012\t0002\t5.0\te f g h\ti j k l\thttp://x\n';
  expect((await read("sts-test.csv", benchmark)).rows).toEqual([
    ['a "b" c d e f', "g h i j", 2.5],
    ["e f g h", "i j k l", 5],
  ]);
});

test("rows without a number are left out and counted", async () => {
  const { rows, warnings } = await read("odd.csv", "sentence1,sentence2,score\na,b,1\nc,d,\ne,,2\n");
  expect(rows).toEqual([
    ["a", "b", 1],
    ["e", "", 2],
  ]);
  expect(warnings.map(({ code, count }) => [code, count])).toEqual([
    ["DATA_ROW_SKIPPED", 1],
    ["DATA_TEXT_EMPTY", 1],
  ]);
  await expect(read("none.csv", "one,two\nx,y\n")).rejects.toMatchObject({ code: "DATA_COLUMN_MISSING" });
});
