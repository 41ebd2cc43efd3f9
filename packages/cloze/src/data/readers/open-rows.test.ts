import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, describe, expect, it } from "vitest";
import { ClozeError } from "../../errors.js";
import type { DataFormat } from "./format.js";
import { collectRows, type OpenRowsOptions, openRows, rowsOf } from "./open-rows.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-rows-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const read = async (path: string, options?: OpenRowsOptions) =>
  (await collectRows(openRows(path, options))).map(({ values }) => values);
const readText = (name: string, content: string | Uint8Array, options?: OpenRowsOptions) =>
  read(file(name, content), options);
const code = (expected: string) => expect.objectContaining({ code: expected });

/** A Zstandard frame that stores its bytes as they are, in blocks of up to 128 KiB. */
function zstdFrame(bytes: Uint8Array): Uint8Array {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(bytes.length);
  // Single segment, four bytes of content size.
  const parts: Uint8Array[] = [Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0]), size];
  for (let at = 0; at === 0 || at < bytes.length; at += 1 << 17) {
    const block = bytes.subarray(at, at + (1 << 17));
    const head = (block.length << 3) | (at + block.length >= bytes.length ? 1 : 0);
    parts.push(Uint8Array.from([head & 255, (head >> 8) & 255, head >> 16]), block);
  }
  return Buffer.concat(parts);
}

describe("rows that are malformed", () => {
  const skipped = async (path: string) => {
    const source = openRows(path, { onBadRow: "skip" });
    const rows = await collectRows(source);
    return { rows: rows.map(({ values, line }) => [line, values]), warnings: source.warnings.list() };
  };
  it("are left out and counted where that is wanted, in every format of lines", async () => {
    const csv = file("gaps.csv", "text,label\ngood,a\nbad\nfine,b\nmore,a,x\n");
    await expect(read(csv)).rejects.toThrow(code("DATA_ROW"));
    const table = await skipped(csv);
    expect(table.rows).toEqual([
      [2, { text: "good", label: "a" }],
      [4, { text: "fine", label: "b" }],
    ]);
    expect(table.warnings).toMatchObject([{ code: "DATA_ROW_SKIPPED", count: 2, first: `${csv}, line 3` }]);

    const lines = file("gaps.jsonl", '{"text":"a"}\n{"text":\n[1]\n{"text":"b"}\n');
    await expect(read(lines)).rejects.toThrow(code("DATA_ROW"));
    const objects = await skipped(lines);
    expect(objects.rows).toEqual([
      [1, { text: "a" }],
      [4, { text: "b" }],
    ]);
    expect(objects.warnings).toMatchObject([{ count: 2, first: `${lines}, line 2` }]);

    const columns = file("gaps.conll", "a X\nb Y\n\nc\nd X\ne\n\nf Y\n\ng\n");
    await expect(read(columns)).rejects.toThrow(code("DATA_ROW"));
    const sentences = await skipped(columns);
    expect(sentences.rows).toEqual([
      [1, { tokens: ["a", "b"], tags: ["X", "Y"], document: 0 }],
      [8, { tokens: ["f"], tags: ["Y"], document: 0 }],
    ]);
    expect(sentences.warnings).toMatchObject([{ count: 2, first: `${columns}, line 4` }]);
  });
});

describe("plain text", () => {
  it("is a text a line where a .txt looks like nothing else, or where one says so", async () => {
    const texts = "A fine film, said Ann.\n\nA dull one, said Bob, twice.\r\nNo.\n";
    const expected = ["A fine film, said Ann.", "A dull one, said Bob, twice.", "No."].map((text) => ({ text }));
    expect(await readText("texts.txt", texts)).toEqual(expected);
    expect(await readText("texts.txt.gz", gzipSync(texts))).toEqual(expected);
    expect(await readText("texts", texts, { format: "text" })).toEqual(expected);
    expect(await readText("even.txt", "a great film, number 0\na poor one, number 1\n")).toHaveLength(2);
    expect(await readText("short.txt", "a b\n\na b c\n\nd e\n")).toHaveLength(3);
    await expect(readText("words", "one\ntwo\n")).rejects.toThrow(code("DATA_FORMAT_UNKNOWN"));
    // Tables and columns stay what they are.
    expect(await readText("tags.txt", "Ada B\nran O\n\nBob B\n")).toHaveLength(2);
    const row = [{ text: "a, b", label: "x" }];
    expect(await readText("table.txt", 'text,label\n"a, b",x\n')).toEqual(row);
    expect(await readText("table.txt", "text\tlabel\na, b\tx\n")).toEqual(row);
    expect(await readText("table.txt", "a great film,x\n", { header: ["text", "label"] })).toEqual([
      { text: "a great film", label: "x" },
    ]);
  });
});

describe("TSV", () => {
  it("takes lines as they are: no quoting, LF or CR LF, byte-order mark, no last line break", async () => {
    const path = file("a.tsv", "\ufefftext\tlabel\r\n\"quoted, it's\t1\r\n\t2\n\nlast\t3");
    const rows = openRows(path);
    expect(await rows.columns()).toEqual(["text", "label"]);
    expect(await collectRows(rows)).toEqual([
      { values: { text: "\"quoted, it's", label: "1" }, number: 1, line: 2 },
      { values: { text: "", label: "2" }, number: 2, line: 3 },
      { values: { text: "last", label: "3" }, number: 3, line: 5 },
    ]);
    expect(rows.warnings.list()).toMatchObject([{ code: "DATA_BLANK_LINE", count: 1, first: `${path}, line 4` }]);
  });

  it("names columns of files without a header line, and columns without a name", async () => {
    expect(await readText("b.tsv", "x\t1\n", { header: ["text", "label"] })).toEqual([{ text: "x", label: "1" }]);
    expect(await readText("c.tsv", "\ttext\n0\tx\n")).toEqual([{ column_1: "0", text: "x" }]);
    expect(await readText("d.tsv", "__proto__\tconstructor\n0\tx\n")).toEqual([
      JSON.parse('{"__proto__":"0","constructor":"x"}'),
    ]);
  });

  it("counts rows that look quoted", async () => {
    const rows = openRows(file("quoted.tsv", 'text\tlabel\n"say ""no"""\t1\n"no"\t1\na "" b\t1\n""\t1\n'));
    expect((await collectRows(rows))[0].values.text).toBe('"say ""no"""');
    expect(rows.warnings.list()).toMatchObject([{ code: "DATA_QUOTES", count: 1 }]);
  });

  it("reports ragged rows, columns that share a name, and line ends of old", async () => {
    const ragged = expect.objectContaining({
      code: "DATA_ROW",
      message: expect.stringMatching(/line 3 has 3 fields.*2: text, label/),
    });
    await expect(readText("e.tsv", "text\tlabel\nx\t1\ny\t2\t3\n")).rejects.toThrow(ragged);
    await expect(readText("f.tsv", "text\tlabel\ttext\nx\t1\ty\n")).rejects.toThrow(code("DATA_COLUMN_DUPLICATE"));
    await expect(readText("g.tsv", "text\tlabel\rx\t1\r")).rejects.toThrow(code("DATA_ROW"));
  });
});

describe("CSV", () => {
  it("reads RFC 4180: quotes, doubled quotes, line breaks inside", async () => {
    const rows = await collectRows(openRows(file("a.csv", 'text,label\r\n"a, ""b""\nc",1\r\nd,2')));
    expect(rows).toEqual([
      { values: { text: 'a, "b"\nc', label: "1" }, number: 1, line: 2 },
      { values: { text: "d", label: "2" }, number: 2, line: 4 },
    ]);
  });

  it("finds the delimiter, or is told", async () => {
    expect(await readText("b.csv", 'text;label\n"a;b";1,5\n')).toEqual([{ text: "a;b", label: "1,5" }]);
    expect(await readText("c.csv", "a^b\n1^2\n", { delimiter: "^" })).toEqual([{ a: "1", b: "2" }]);
    expect(await readText("d.csv", 'a,b\n"1,2\n', { quote: "" })).toEqual([{ a: '"1', b: "2" }]);
    expect(await readText("d.tsv", 'a\tb\n"1\t1"\t2\n', { quote: '"' })).toEqual([{ a: "1\t1", b: "2" }]);
  });

  it("reports broken quoting and ragged rows with their lines", async () => {
    const error = (text: RegExp) => expect.objectContaining({ code: "DATA_ROW", message: expect.stringMatching(text) });
    await expect(readText("e.csv", 'a,b\n1,2\n"3,4\n')).rejects.toThrow(error(/e.csv, line 3: broken/));
    await expect(readText("f.csv", 'a,b\nx"y",2\n')).rejects.toThrow(error(/f.csv, line 2: broken/));
    await expect(readText("g.csv", 'a,b\n"1\n1",2\n3\n')).rejects.toThrow(error(/line 4 has 1 fields/));
  });

  it("gives back what was written", async () => {
    const cell = fc.string({
      unit: fc.constantFrom("a", "é", "😀", ",", '"', "\n", "\r\n", " ", ";", "\t"),
      maxLength: 8,
    });
    const table = fc
      .integer({ min: 1, max: 4 })
      .chain((width) =>
        fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 6 }),
      );
    await fc.assert(
      fc.asyncProperty(table, fc.boolean(), async (cells, lastBreak) => {
        const head = cells[0].map((_, i) => `c${i}`);
        const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
        const written = [head, ...cells].map((row) => row.map(quoted).join(",")).join("\r\n");
        const rows = await readText("any.csv", written + (lastBreak ? "\r\n" : ""), { delimiter: "," });
        expect(rows.map((row) => Object.values(row))).toEqual(cells);
      }),
      { numRuns: 60 },
    );
  });
});

describe("JSON", () => {
  it("reads lines, arrays and objects that hold one", async () => {
    const rows = [
      { text: "a", tags: ["x"] },
      { text: "b\n", label: 1, no: null },
    ];
    const lines = rows.map((row) => JSON.stringify(row)).join("\n\n");
    expect(await readText("a.jsonl", lines)).toEqual(rows);
    expect(await readText("lines.json", lines)).toEqual(rows);
    expect(await readText("b.json", JSON.stringify(rows))).toEqual(rows);
    expect(await readText("c.json", JSON.stringify({ version: 1, data: rows }, null, 2))).toEqual(rows);
    expect(await openRows(join(folder, "a.jsonl")).columns()).toEqual(["text", "tags", "label", "no"]);
  });

  it("reads SQuAD's schema", async () => {
    const qa = { id: 7, question: "Who?", answers: [{ text: "Ada", answer_start: 0 }] };
    const open = { id: "8", question: "Why?", answers: [], is_impossible: true };
    const squad = { version: "v2.0", data: [{ title: "T", paragraphs: [{ context: "Ada wrote.", qas: [qa, open] }] }] };
    const rows = [
      { ...qa, title: "T", context: "Ada wrote." },
      { ...open, title: "T", context: "Ada wrote." },
    ];
    expect(await readText("squad.json", JSON.stringify(squad))).toEqual(rows);
    expect(await readText("squad", JSON.stringify(squad.data), { format: "squad" })).toEqual(rows);
    expect(await readText("wrong.json", '{"data": [{"paragraphs": [{"qas": 3}]}]}').catch((e) => e.message)).toMatch(
      /data\[0\]\.paragraphs\[0\]\.qas is no array/,
    );
  });

  it("reports what is no JSON, or no row, with its line", async () => {
    const error = (text: RegExp) => expect.objectContaining({ code: "DATA_ROW", message: expect.stringMatching(text) });
    await expect(readText("d.jsonl", '{"a":1}\n{"a":\n')).rejects.toThrow(error(/line 2: no JSON/));
    await expect(readText("e.jsonl", '{"a":1}\n\n[1]\n')).rejects.toThrow(error(/line 3: .*an array/));
    await expect(readText("f.json", '[{"a":1},\n{"a" 2}]')).rejects.toThrow(error(/line 2: no JSON/));
    await expect(readText("g.json", '{"a":1,"b":[1]}\n', { format: "json" })).rejects.toThrow(error(/holds no rows/));
    await expect(readText("h.json", '[{"a":1}, 2]')).rejects.toThrow(error(/row 2/));
  });
});

describe("CoNLL columns", () => {
  it("reads sentences, documents, spaces and tabs, chosen columns", async () => {
    const text = "-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects VBZ O\n\n\n-DOCSTART- -X- O\n\nPeter NNP B-PER\n";
    expect(await collectRows(openRows(file("a.conll", text)))).toEqual([
      { values: { tokens: ["EU", "rejects"], tags: ["B-ORG", "O"], document: 1 }, number: 1, line: 3 },
      { values: { tokens: ["Peter"], tags: ["B-PER"], document: 2 }, number: 2, line: 9 },
    ]);
    expect((await readText("a.conll", text, { tagColumn: 1 }))[0].tags).toEqual(["NNP", "VBZ"]);
    expect(await readText("b.txt", "New York\tB-LOC\n\nis\tO\n", { format: "conll" })).toEqual([
      { tokens: ["New York"], tags: ["B-LOC"], document: 0 },
      { tokens: ["is"], tags: ["O"], document: 0 },
    ]);
    expect(await readText("c.conll", "just\ntokens\n")).toEqual([{ tokens: ["just", "tokens"], document: 0 }]);
  });

  it("reports missing columns with their line", async () => {
    const message = expect.objectContaining({ message: expect.stringMatching(/line 2 has 1 columns/) });
    await expect(readText("d.conll", "EU B-ORG\nrejects\n")).rejects.toThrow(message);
    await expect(readText("e.conll", "EU B-ORG\n", { tagColumn: 2 })).rejects.toThrow(code("DATA_COLUMN_MISSING"));
  });
});

describe("Parquet", () => {
  const columnData = [
    { name: "text", data: Array.from({ length: 250 }, (_, i) => `text ${i % 7} é`), type: "STRING" as const },
    { name: "label", data: Array.from({ length: 250 }, (_, i) => i % 3), type: "INT32" as const },
    { name: "big", data: Array.from({ length: 250 }, (_, i) => BigInt(i)), type: "INT64" as const },
    { name: "tags", data: Array.from({ length: 250 }, (_, i) => [`t${i}`, "O"]), type: "JSON" as const },
  ];
  const compressors = { GZIP: (bytes: Uint8Array) => gzipSync(bytes), ZSTD: zstdFrame };

  it.each(["UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD"] as const)("reads row groups packed by %s", async (codec) => {
    const bytes = new Uint8Array(parquetWriteBuffer({ columnData, codec, compressors, rowGroupSize: 100 }));
    const rows = await collectRows(openRows(file(`${codec}.parquet`, bytes)));
    expect(rows.map(({ number }) => number)).toEqual(rows.map((_, i) => i + 1));
    expect(rows).toHaveLength(250);
    expect(rows[249].values).toEqual({ text: "text 4 é", label: 0, big: 249, tags: ["t249", "O"] });
    expect(await readText("no-name", bytes)).toHaveLength(250);
    expect(await readText("whole.parquet.gz", gzipSync(bytes))).toHaveLength(250);
  });

  it("reports what is no Parquet", async () => {
    await expect(readText("a.parquet", "PAR1 something else, and then some more of it")).rejects.toThrow(
      code("DATA_PARQUET"),
    );
  });
});

describe("any file", () => {
  const text = `text\tlabel\n${Array.from({ length: 40_000 }, (_, i) => `row ${i} é😀\t${i % 2}\n`).join("")}`;

  it("is unpacked: gzip (several members too) and Zstandard, whatever its name", async () => {
    const half = text.indexOf("\n", text.length / 2) + 1;
    const plain = await readText("plain.tsv", text);
    expect(plain).toHaveLength(40_000);
    const members = Buffer.concat([gzipSync(text.slice(0, half)), gzipSync(text.slice(half))]);
    const zstd = Buffer.concat([zstdFrame(Buffer.from(text.slice(0, half))), zstdFrame(Buffer.from(text.slice(half)))]);
    expect(await readText("a.tsv.gz", members)).toEqual(plain);
    expect(await readText("b.tsv", gzipSync(text))).toEqual(plain);
    expect(await readText("c.tsv.zst", zstdFrame(Buffer.from(text)))).toEqual(plain);
    expect(await readText("d.tsv.zst", zstd)).toEqual(plain);
  });

  it("is reported when it is cut or damaged", async () => {
    await expect(readText("a.tsv.gz", gzipSync(text).subarray(0, 5000))).rejects.toThrow(code("DATA_COMPRESSION"));
    const cut = zstdFrame(Buffer.from(text)).subarray(0, 5000);
    await expect(readText("a.tsv.zst", cut)).rejects.toThrow(code("DATA_COMPRESSION"));
  });

  it("may hold bad bytes and NUL, which are counted, and U+FFFD, which is not", async () => {
    const bytes = Buffer.concat([
      Buffer.from("text\na\ufffd\nb\0\n"),
      Buffer.from([0x63, 0xff, 0x0a]),
      Buffer.from("d"),
    ]);
    const path = file("bad.tsv", bytes);
    const rows = openRows(path);
    expect((await collectRows(rows)).map(({ values }) => values.text)).toEqual(["a\ufffd", "b\0", "c\ufffd", "d"]);
    const list = [
      { code: "DATA_NUL", count: 1, first: `${path}, line 3` },
      { code: "DATA_NOT_UTF8", count: 1, first: `${path}, line 4` },
    ];
    expect(rows.warnings.list()).toMatchObject(list);
    await collectRows(rows);
    expect(rows.warnings.list()).toMatchObject(list);
  });

  it("may be UTF-16 with a byte-order mark", async () => {
    const wide = Buffer.from("\ufefftext\tlabel\né😀\t1\n", "utf16le");
    expect(await readText("wide.tsv", wide)).toEqual([{ text: "é😀", label: "1" }]);
    expect(await readText("big-endian.tsv", Buffer.from(wide).swap16())).toEqual([{ text: "é😀", label: "1" }]);
  });

  it("is told by its content where the name does not tell", async () => {
    expect(await readText("one", "text\tlabel\na\t1\n")).toEqual([{ text: "a", label: "1" }]);
    expect(await readText("two", '{"a": 1}\n{"a": 2}\n')).toEqual([{ a: 1 }, { a: 2 }]);
    expect(await readText("three", '{"a": 1}')).toEqual([{ a: 1 }]);
    expect(await readText("four", '\n[{"a": 1}]')).toEqual([{ a: 1 }]);
    expect(await readText("five", "EU\tB-ORG\n\nPeter\tB-PER\n")).toHaveLength(2);
    expect(await readText("six", "a,b\n1,2\n")).toEqual([{ a: "1", b: "2" }]);
    await expect(readText("seven", "just words\n")).rejects.toThrow(code("DATA_FORMAT_UNKNOWN"));
    await expect(readText("eight.tsv", "a\n1\n", { format: "xml" as "tsv" })).rejects.toThrow(
      code("DATA_FORMAT_UNKNOWN"),
    );
  });

  it("must be there, be a file and hold rows", async () => {
    expect(() => openRows(join(folder, "nothing.tsv"))).toThrow(code("DATA_FILE_MISSING"));
    mkdirSync(join(folder, "hollow"));
    expect(() => openRows(join(folder, "hollow"))).toThrow(code("DATA_FILE_READ"));
    expect(() => openRows(file("empty.tsv", ""))).toThrow(code("DATA_EMPTY"));
    await expect(readText("head.tsv", "text\tlabel\n")).rejects.toThrow(code("DATA_EMPTY"));
    await expect(readText("none.json", "[]")).rejects.toThrow(code("DATA_EMPTY"));
    await expect(readText("blank.jsonl", "\n\n")).rejects.toThrow(code("DATA_EMPTY"));
  });

  it("is read no further than asked, and never as a whole", async () => {
    const line = `${"x".repeat(1000)}\t1\n`;
    const path = file("large.tsv", `text\tlabel\n${line.repeat(60_000)}`);
    const before = process.memoryUsage().arrayBuffers;
    let [seen, most] = [0, 0];
    for await (const { number } of openRows(path)) {
      seen = number;
      if (number % 1000 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      if (number === 30_000) break;
    }
    expect(seen).toBe(30_000);
    expect(most).toBeLessThan(30_000_000);
  });
});

describe("damaged files", () => {
  const samples: [format: DataFormat, content: Uint8Array][] = [
    ["tsv", Buffer.from("text\tlabel\na\t1\nb\t2\n")],
    ["csv", Buffer.from('text,label\n"a ""b""",1\nb,2\n')],
    ["jsonl", Buffer.from('{"text":"a","label":[1]}\n{"text":"b"}\n')],
    ["squad", Buffer.from('{"data":[{"paragraphs":[{"context":"a","qas":[{"id":1,"question":"b","answers":[]}]}]}]}')],
    ["conll", Buffer.from("-DOCSTART- O\n\nEU B-ORG\nis O\n\nA B-PER\n")],
    ["tsv", gzipSync("text\tlabel\na\t1\nb\t2\n")],
    ["tsv", zstdFrame(Buffer.from("text\tlabel\na\t1\nb\t2\n"))],
    [
      "parquet",
      new Uint8Array(parquetWriteBuffer({ columnData: [{ name: "text", data: ["a", "b", "c"], type: "STRING" }] })),
    ],
  ];
  it("give rows, or an error that says what is wrong", async () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...samples), changes, fc.boolean(), async ([format, content], at, cut) => {
        const bytes = Buffer.from(content);
        for (const [place, value] of at) bytes[place % bytes.length] = value;
        const damaged = bytes.subarray(0, cut ? 1 + (at[0][0] % bytes.length) : bytes.length);
        await readText("damaged", damaged, { format }).catch((error) => expect(error).toBeInstanceOf(ClozeError));
      }),
      { numRuns: 200 },
    );
  });
});

it("takes rows in memory", async () => {
  const rows = rowsOf([{ a: 1 }, { b: 2 }]);
  expect(await rows.columns()).toEqual(["a", "b"]);
  expect(await collectRows(rows)).toEqual([
    { values: { a: 1 }, number: 1 },
    { values: { b: 2 }, number: 2 },
  ]);
});
