import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { readLines } from "./corpus.js";

let folder = "";
const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cloze-corpus-"));
});

describe("readLines", () => {
  it("gives the lines of files, one after the other, as often as asked", () => {
    const lines = readLines([file("a", "one\r\ntwo\n\n  \nthree"), file("b", "four\n")]);
    expect([...lines]).toEqual(["one", "two", "three", "four"]);
    expect([...lines]).toEqual(["one", "two", "three", "four"]);
    expect([...readLines(file("c", "a\n\nb\n"), { keepBlank: true })]).toEqual(["a", "", "b"]);
  });

  it("takes any bytes", () => {
    const bytes = Uint8Array.from([
      0x61, 0x00, 0x62, 0x0a, 0xff, 0xc3, 0x0a, 0xed, 0xa0, 0x80, 0x0a, 0xf0, 0x9f, 0x98, 0x80,
    ]);
    expect([...readLines(file("bytes", bytes))]).toEqual(["a\0b", "\ufffd\ufffd", "\ufffd\ufffd\ufffd", "😀"]);
    expect([...readLines(file("mark", "\ufeffa\nb"))]).toEqual(["a", "b"]);
    const wide = Uint8Array.from([0xff, 0xfe, 0x61, 0x00, 0x0a, 0x00, 0x3d, 0xd8, 0x00, 0xde]);
    expect([...readLines(file("wide", wide))]).toEqual(["a", "😀"]);
  });

  it("takes lines that are longer than what it reads at once, and cuts those that are far too long", () => {
    const long = "é😀x".repeat(300_000);
    expect([...readLines(file("long", `${long}\nend`), { longestLine: 2_000_000 })]).toEqual([long, "end"]);
    const parts = [...readLines(file("long", `${long}\nend`), { longestLine: 1001 })];
    expect(parts.at(-1)).toBe("end");
    expect(parts.slice(0, -1).join("")).toBe(long);
    expect(parts.every((part) => part.length <= 1001 && part.isWellFormed())).toBe(true);
    expect([...readLines(file("z", "x".repeat(5_000_000)))].length).toBe(5);
  });

  it("gives what splitting the whole text gives", () => {
    const text = fc.array(fc.constantFrom("a", "é", "😀", "\n", "\r\n", " ", "\0", "bc"), { maxLength: 40 });
    fc.assert(
      fc.property(text, (pieces) => {
        const whole = pieces.join("");
        const expected = whole.split(/\r?\n/).filter((line) => line.trim() !== "");
        if (expected.length === 0) return;
        expect([...readLines(file("any", whole))]).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });

  it("reads a folder's .txt files by name", () => {
    mkdirSync(join(folder, "many"));
    file("many/b.txt", "second");
    file("many/a.txt", "first");
    file("many/c.md", "no");
    expect([...readLines(join(folder, "many"))]).toEqual(["first", "second"]);
  });

  it("reads no more than is asked for", () => {
    const path = file("big", "line\n".repeat(1_000_000));
    const before = process.memoryUsage().arrayBuffers;
    for (const line of readLines(path)) {
      expect(line).toBe("line");
      break;
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2_000_000);
  });

  it("reads what is packed, lone or in a folder, longer than a block too", () => {
    const lines = Array.from({ length: 60_000 }, (_, i) => `Zeile ${i} über den Dächern`);
    const packed = gzipSync(lines.join("\r\n"));
    expect([...readLines(file("long.gz", packed))]).toEqual(lines);
    mkdirSync(join(folder, "packed"));
    file("packed/a.txt", "first");
    file("packed/b.txt.gz", gzipSync(Buffer.from("\ufeffsecond\n", "utf16le")));
    // Nothing but literals, as RFC 8878 writes them down: magic, descriptor, size, last raw block of 5 bytes.
    file("packed/c.txt.zst", Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, 5, 0x29, 0, 0, ...Buffer.from("third")));
    expect([...readLines(join(folder, "packed"))]).toEqual(["first", "second", "third"]);
    const code = expect.objectContaining({ code: "DATA_COMPRESSION" });
    expect(() => [...readLines(file("cut.gz", packed.subarray(0, 1000)))]).toThrow(code);
  });

  it("reports files that are missing, empty, blank, damaged or unreadable", () => {
    const code = (expected: string) => expect.objectContaining({ code: expected });
    expect(() => readLines(join(folder, "nothing"))).toThrow(code("CORPUS_FILE_MISSING"));
    expect(() => readLines([])).toThrow(code("CORPUS_EMPTY"));
    expect(() => readLines([file("ok", "a"), file("empty", "")])).toThrow(code("CORPUS_EMPTY"));
    mkdirSync(join(folder, "hollow"));
    expect(() => readLines(join(folder, "hollow"))).toThrow(code("CORPUS_EMPTY"));
    expect(() => [...readLines(file("blank", "\n \n\t\n"))]).toThrow(code("CORPUS_EMPTY"));
    expect(() => [...readLines(file("gz", Uint8Array.from([0x1f, 0x8b, 8, 0])))]).toThrow(code("DATA_COMPRESSION"));
    symlinkSync(join(folder, "loop"), join(folder, "loop"));
    expect(() => readLines(join(folder, "loop"))).toThrow(code("CORPUS_FILE_READ"));
  });
});
