// Documents of other people's files in an index, and indexes that are not as they were left.
import { cpSync, existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { runCommand } from "../../test/run-command.js";
import { addIndex } from "./index-documents.js";
import { addSearch } from "./search.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-index-documents-"));
const path = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Told {
  documents: number;
  added: number;
  warnings: { code: string; count: number }[];
}
interface Found {
  results: { hits: { id: string; text: string; fields?: unknown }[] }[];
  warnings: { code: string; count: number; first: string }[];
}
const index = (out: string, ...args: string[]) => runCommand<Told>(addIndex, "index", "--out", path(out), ...args);
const search = (out: string, ...args: string[]) => runCommand<Found>(addSearch, "search", path(out), ...args);
const ids = ({ results }: Found) => results[0].hits.map(({ id }) => id).sort();
const code = (wanted: string) => expect.objectContaining({ code: wanted });

test("a table whose columns have other names: told, or counted; its numbers are compared as numbers", async () => {
  writeFileSync(
    path("goods.csv"),
    'name,description,price,code\nlamp,"bright, and good",3.50,007\ntable,good wood,12,12\n',
  );
  const guessed = await index("guessed", path("goods.csv"));
  expect(guessed).toMatchObject({ documents: 3, warnings: [{ code: "DATA_HEADER_UNKNOWN", count: 1 }] });
  const columns = ["--column", "text=description", "--column", "id=name"];
  expect(await index("goods", path("goods.csv"), ...columns)).toMatchObject({ documents: 2, warnings: [] });
  const { results } = await search("goods", "bright");
  expect(results[0].hits).toEqual([
    { id: "lamp", text: "bright, and good", fields: { price: "3.50", code: "007" }, score: expect.any(Number) },
  ]);
  const where = async (...conditions: string[]) =>
    ids(await search("goods", "good", ...conditions.flatMap((one) => ["--filter", one])));
  expect(await where("price<5")).toEqual(["lamp"]);
  expect(await where("price>=3", "price<=12")).toEqual(["lamp", "table"]);
  expect([await where("price=3.50"), await where("code=007"), await where("price=12")]).toEqual([
    ["lamp"],
    ["lamp"],
    ["table"],
  ]);
  // What looks like a number is shown as it was written, and is not another that is the same as a number.
  const versions = ["1.1", "1.10", "12345678901234567890", "0.12345678901234567", "-0", "1e5", "1.", "Infinity", "2"];
  writeFileSync(path("versions.csv"), `id,text,version\n${versions.map((one, i) => `v${i},good,${one}\n`).join("")}`);
  await index("versions", path("versions.csv"));
  const good = (await search("versions", "good", "--top", "20")).results[0].hits;
  const shown = good.sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ fields }) => fields);
  expect(shown).toEqual(
    versions.map((version) => ({ version: ["1.1", "2"].includes(version) ? Number(version) : version })),
  );
  const like = async (condition: string) => ids(await search("versions", "good", "--filter", condition));
  expect([await like("version=1.10"), await like("version=1.1")]).toEqual([["v0", "v1"], ["v0"]]);
  expect(await like("version>=1.1")).toEqual(["v0", "v1", "v2", "v8"]);
  expect(await like("version<1")).toEqual(["v3", "v4"]);
  const wrong = (...args: string[]) => expect(index("goods", path("goods.csv"), ...args)).rejects.toEqual;
  await wrong("--column", "text=desc")(code("DATA_COLUMN_MISSING"));
  await wrong("--column", "body=description")(code("DATA_COLUMN_MISSING"));
  // Without a header there is nothing to wonder at.
  writeFileSync(path("plain.tsv"), "1\tbright\n2\twood\n");
  expect(await index("plain", path("plain.tsv"))).toMatchObject({ documents: 2, warnings: [] });
});

test("options that an index was not made with are refused; the same, and those that are not told, are not", async () => {
  writeFileSync(path("one.jsonl"), '{"id":"1","text":"cats"}\n');
  await index("stems", path("one.jsonl"), "--stemmer", "english", "--k1", "0.9");
  expect(await index("stems", path("one.jsonl"))).toMatchObject({ documents: 1 });
  expect(await index("stems", path("one.jsonl"), "--stemmer", "english", "--k1", "0.9")).toMatchObject({
    documents: 1,
  });
  for (const other of [
    ["--stemmer", "none"],
    ["--stop-words", "english"],
    ["--k1", "1.2"],
    ["--b", "0"],
  ])
    await expect(index("stems", path("one.jsonl"), ...other)).rejects.toEqual(code("INDEX_SETTINGS"));
  // The lock is given back.
  expect(existsSync(path("stems/lock"))).toBe(false);
  expect(ids(await search("stems", "cat"))).toEqual(["1"]);
});

test("what a crash cut off, and what is gone, is counted by who reads and by who writes", async () => {
  writeFileSync(path("three.jsonl"), ["a", "b", "c"].map((id) => `{"id":"${id}","text":"word ${id}"}\n`).join(""));
  await index("whole", path("three.jsonl"));
  const log = (name: string) => path(`${name}/segment-000001.log`);
  const copy = (name: string) => cpSync(path("whole"), path(name), { recursive: true });
  expect((await search("whole", "word")).warnings).toEqual([]);
  copy("cut");
  truncateSync(log("cut"), statSync(log("cut")).size - 3);
  const cut = [{ code: "INDEX_SEGMENT_CUT", count: 1, message: expect.any(String), first: "segment-000001" }];
  const found = await search("cut", "word");
  expect([ids(found), found.warnings]).toEqual([["a", "b"], cut]);
  expect((await index("cut", path("one.jsonl"))).warnings).toEqual(cut);
  const after = await search("cut", "word", "cats");
  expect([ids(after), after.warnings]).toEqual([["a", "b"], []]);
  // While another process adds, half a document is none that was cut.
  copy("growing");
  truncateSync(log("growing"), statSync(log("growing")).size - 3);
  const holder = { pid: process.pid, host: (await import("node:os")).hostname() };
  writeFileSync(path("growing/lock"), JSON.stringify(holder));
  expect((await search("growing", "word")).warnings).toEqual([]);
  copy("gone");
  rmSync(log("gone"));
  expect((await search("gone", "word")).warnings).toMatchObject([{ code: "INDEX_SEGMENT_MISSING", count: 1 }]);
  expect(await index("gone", path("one.jsonl"))).toMatchObject({
    documents: 1,
    warnings: [{ code: "INDEX_SEGMENT_MISSING", count: 1 }],
  });
});
