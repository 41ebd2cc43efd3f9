import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { ClozeError } from "../errors.js";
import { memory, scope } from "../memory.js";
import { transpose } from "../ops/movement.js";
import { tensor, zeros } from "../tensor.js";
import { readSafetensors, writeSafetensors } from "./safetensors.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-safetensors-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const fresh = (name = `${++files}.safetensors`): string => join(folder, name);

/** A file from a header (an object, or its exact text) and the bytes after it. */
function build(header: unknown, data: Uint8Array = new Uint8Array(0), saidLength?: number | bigint): string {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header), "utf8");
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(saidLength ?? text.length));
  const path = fresh();
  writeFileSync(path, Buffer.concat([prefix, text, data]));
  return path;
}
const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** The code of the error that opening (and loading everything) ends with, or undefined. Anything but a ClozeError fails. */
function codeOf(path: string): string | undefined {
  try {
    scope(() => {
      const file = readSafetensors(path);
      try {
        for (const name of file.names) file.load(name);
      } finally {
        file.close();
      }
    });
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(ClozeError);
    expect((error as ClozeError).message.length).toBeLessThan(1000);
    return (error as ClozeError).code;
  }
}

describe("safetensors: what was written is read", () => {
  it("every type, views, empty tensors, scalars, odd names, metadata", () => {
    const path = fresh();
    const weights = tensor([
      [1, 2.5, -3],
      [Number.MAX_VALUE, -0, 1e-45],
    ]);
    writeSafetensors(
      path,
      [
        ["w", weights],
        ["w.transposed", transpose(weights)],
        ["10", tensor(Int32Array.of(1, -2, 2 ** 31 - 1))],
        ["2", tensor([7])],
        ["bytes", tensor(Int8Array.of(-128, 127, 3), [3, 1])],
        ["half", tensor(Uint16Array.of(0x3f80, 0xc000, 0x7f80))],
        ["scalar", tensor(5)],
        ["nothing", zeros([0, 4])],
        ['naïve "ключ"\n🙂', tensor([9])],
        ["__proto__", tensor([8])],
      ],
      { format: "pt", __proto__x: "y" },
    );
    const file = readSafetensors(path);
    expect({ ...file.metadata }).toEqual({ format: "pt", __proto__x: "y" });
    expect(file.load("w").toArray()).toEqual([
      [1, 2.5, -3],
      [Number.POSITIVE_INFINITY, -0, Math.fround(1e-45)],
    ]);
    expect(file.load("w.transposed").shape).toEqual([3, 2]);
    expect(file.load("w.transposed").toArray()).toEqual(transpose(weights).toArray());
    expect(file.load("10").toTypedArray()).toEqual(Int32Array.of(1, -2, 2 ** 31 - 1));
    expect(file.load("bytes").toTypedArray()).toEqual(Int8Array.of(-128, 127, 3));
    expect(file.load("half").toTypedArray()).toEqual(Float32Array.of(1, -2, Number.POSITIVE_INFINITY));
    expect(file.load("half", "bfloat16").toTypedArray()).toEqual(Uint16Array.of(0x3f80, 0xc000, 0x7f80));
    expect([file.load("scalar").shape, file.load("scalar").item()]).toEqual([[], 5]);
    expect(file.load("nothing").shape).toEqual([0, 4]);
    expect(file.load('naïve "ключ"\n🙂').item()).toBe(9);
    expect(file.load("__proto__").item()).toBe(8);
    expect(file.has("toString")).toBe(false);
    // Wider types first, then by name, also where the names look like numbers.
    expect(file.names.slice(0, 2)).toEqual(["2", "__proto__"]);
    expect(file.names.slice(-3)).toEqual(["10", "half", "bytes"]);
    expect(file.info("2").offset % 8).toBe(0);
    file.close();
    expect(() => file.load("w")).toThrow(expect.objectContaining({ code: "SAFETENSORS_CLOSED" }));
  });
  it("a tensor larger than one piece of reading", () => {
    const path = fresh();
    const count = (1 << 20) + 13;
    const values = Float32Array.from({ length: count }, (_, i) => i % 1000);
    writeSafetensors(path, [["x", tensor(values)]]);
    const file = readSafetensors(path);
    expect(Buffer.compare(bytesOf(file.load("x").toTypedArray()), bytesOf(values))).toBe(0);
    file.close();
  });
  it("types that only others write: half, double, long, short, unsigned, Boolean", () => {
    const parts: [string, string, ArrayBufferView, number[]][] = [
      ["f64", "F64", Float64Array.of(1.5, -2), [1.5, -2]],
      ["i64", "I64", BigInt64Array.of(5n, -7n), [5, -7]],
      [
        "f16",
        "F16",
        Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0xfc00),
        [1, -2, 2 ** -24, 65504, Number.NEGATIVE_INFINITY],
      ],
      ["i16", "I16", Int16Array.of(-3, 4), [-3, 4]],
      ["u16", "U16", Uint16Array.of(65535), [65535]],
      ["u8", "U8", Uint8Array.of(255, 1), [255, 1]],
      ["b", "BOOL", Uint8Array.of(0, 1, 2), [0, 1, 1]],
    ];
    let offset = 0;
    const header = Object.fromEntries(
      parts.map(([name, dtype, data, values]) => {
        const start = offset;
        offset += data.byteLength;
        return [name, { dtype, shape: [values.length], data_offsets: [start, offset] }];
      }),
    );
    const file = readSafetensors(build(header, Buffer.concat(parts.map(([, , data]) => bytesOf(data)))));
    for (const [name, , , values] of parts) expect([...file.load(name).toTypedArray()]).toEqual(values);
    expect(() => file.load("f64", "bfloat16")).toThrow(expect.objectContaining({ code: "SAFETENSORS_DTYPE" }));
    file.close();
  });
  it("any list of float32 tensors", () => {
    const path = fresh();
    fc.assert(
      fc.property(
        fc.dictionary(
          fc
            .string({ unit: "grapheme", maxLength: 8 })
            .filter((name) => name !== "__metadata__" && name !== "__proto__"),
          fc.float32Array({ maxLength: 9 }),
          { maxKeys: 6 },
        ),
        (tensors) => {
          const list = Object.entries(tensors);
          writeSafetensors(
            path,
            list.map(([name, values]) => [name, tensor(values)] as const),
          );
          const file = readSafetensors(path);
          expect(new Set(file.names)).toEqual(new Set(list.map(([name]) => name)));
          for (const [name, values] of list) expect(file.load(name).toTypedArray()).toEqual(values);
          file.close();
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe("safetensors: lies are refused", () => {
  const entry = (dtype: string, shape: unknown, from: unknown, to: unknown) => ({
    dtype,
    shape,
    data_offsets: [from, to],
  });
  const eight = new Uint8Array(8);
  const cases: [string, string, () => string][] = [
    ["an empty file", "TRUNCATED", () => fileOf(new Uint8Array(0))],
    ["five bytes", "TRUNCATED", () => fileOf(new Uint8Array(5))],
    ["a header longer than the file", "TRUNCATED", () => build("{}", eight, 99)],
    ["a header of 2^64 - 1 bytes", "HEADER_TOO_LARGE", () => build("{}", eight, 2n ** 64n - 1n)],
    ["a header of 100 MB and one byte", "HEADER_TOO_LARGE", () => build("{}", eight, 100_000_001)],
    ["no header", "HEADER_INVALID", () => build("")],
    ["no JSON", "HEADER_INVALID", () => build('{"a":')],
    ["an array", "HEADER_INVALID", () => build("[1]")],
    ["a space first", "HEADER_INVALID", () => build(" {}")],
    ["no UTF-8", "HEADER_INVALID", () => fileOf(Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff]))],
    ["an entry that is null", "HEADER_INVALID", () => build({ a: null })],
    ["an entry nested 200,000 deep", "HEADER_INVALID", () => build(`{"a":${"[".repeat(2e5)}${"]".repeat(2e5)}}`)],
    ["metadata that is a number", "HEADER_INVALID", () => build({ __metadata__: { a: 1 } })],
    ["an unknown field", "HEADER_INVALID", () => build({ a: { ...entry("F32", [2], 0, 8), extra: 1 } }, eight)],
    ["an unknown type", "DTYPE", () => build({ a: entry("F31", [2], 0, 8) }, eight)],
    ["a type from the prototype", "DTYPE", () => build({ a: entry("toString", [2], 0, 8) }, eight)],
    ["a type that cannot be loaded", "DTYPE", () => build({ a: entry("F8_E4M3", [8], 0, 8) }, eight)],
    ["a negative size", "HEADER_INVALID", () => build({ a: entry("F32", [-2], 0, 8) }, eight)],
    ["half a size", "HEADER_INVALID", () => build({ a: entry("F32", [0.5, 4], 0, 8) }, eight)],
    [
      "sizes whose product overflows",
      "SIZE_MISMATCH",
      () => build({ a: entry("F32", [2 ** 40, 2 ** 40], 0, 8) }, eight),
    ],
    ["2^50 elements", "SIZE_MISMATCH", () => build({ a: entry("U8", [2 ** 50], 0, 8) }, eight)],
    [
      "2^49 elements, with offsets to match",
      "TRUNCATED",
      () => build({ a: entry("U8", [2 ** 49], 0, 2 ** 49) }, eight),
    ],
    ["offsets that fall", "OFFSETS", () => build({ a: entry("F32", [2], 8, 0) }, eight)],
    ["one offset", "OFFSETS", () => build({ a: { dtype: "F32", shape: [2], data_offsets: [8] } }, eight)],
    ["an overlap", "OFFSETS", () => build({ a: entry("F32", [1], 0, 4), b: entry("F32", [1], 0, 4) }, eight)],
    ["half an overlap", "OFFSETS", () => build({ a: entry("U8", [5], 0, 5), b: entry("U8", [5], 3, 8) }, eight)],
    ["a gap", "OFFSETS", () => build({ a: entry("U8", [3], 0, 3), b: entry("U8", [4], 4, 8) }, eight)],
    ["bytes after the end", "OFFSETS", () => build({ a: entry("F32", [1], 0, 4) }, eight)],
    ["tensors longer than the file", "TRUNCATED", () => build({ a: entry("F32", [4], 0, 16) }, eight)],
    [
      "a name twice",
      "DUPLICATE_NAME",
      () => {
        const one = JSON.stringify(entry("F32", [2], 0, 8));
        return build(`{"a":${one},"\\u0061":${one}}`, eight);
      },
    ],
    ["a long integer", "RANGE", () => build({ a: entry("I64", [1], 0, 8) }, bytesOf(BigInt64Array.of(2n ** 31n)))],
  ];
  function fileOf(bytes: Uint8Array): string {
    const path = fresh();
    writeFileSync(path, bytes);
    return path;
  }
  for (const [what, code, path] of cases) {
    it(what, () => {
      const before = memory.stats().liveBytes;
      memory.resetPeak();
      expect(codeOf(path())).toBe(`SAFETENSORS_${code}`);
      expect(memory.stats().liveBytes).toBe(before);
      expect(memory.stats().peakBytes - before).toBeLessThan(1000);
    });
  }
  it("a file that is not there, a folder without weights, a name that is not there", () => {
    expect(codeOf(fresh())).toBe("FILE_NOT_FOUND");
    expect(codeOf(join(folder, "no.index.json"))).toBe("FILE_NOT_FOUND");
    const empty = join(folder, "empty");
    mkdirSync(empty);
    expect(codeOf(empty)).toBe("FILE_NOT_FOUND");
    const file = readSafetensors(build({ a: entry("F32", [2], 0, 8) }, eight));
    expect(() => file.load("b")).toThrow(expect.objectContaining({ code: "SAFETENSORS_NAME_UNKNOWN" }));
    file.close();
  });
  it("a file that became shorter after it was opened", () => {
    const path = build({ a: entry("F32", [2], 0, 8) }, eight);
    const file = readSafetensors(path);
    truncateSync(path, 20);
    expect(() => file.load("a")).toThrow(expect.objectContaining({ code: "SAFETENSORS_TRUNCATED" }));
    file.close();
  });
});

describe("safetensors: fuzzed files give a coded error or tensors, nothing else", () => {
  const valid = (): Buffer => {
    const path = fresh("valid.safetensors");
    writeSafetensors(
      path,
      [
        ["encoder.weight", tensor([[1, 2, 3]])],
        ["encoder.bias", tensor(Int32Array.of(4, 5))],
        ["scale", tensor(Int8Array.of(1, 2, 3))],
      ],
      { format: "pt" },
    );
    return readFileSync(path);
  };
  it("bytes flipped, cut, inserted", () => {
    const bytes = valid();
    const path = fresh();
    const edit = fc.record({
      kind: fc.constantFrom("flip", "cut", "insert", "drop"),
      at: fc.nat(bytes.length - 1),
      value: fc.integer({ min: 1, max: 255 }),
    });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let content: Buffer = Buffer.from(bytes);
        for (const { kind, at, value } of edits) {
          if (kind === "flip" && at < content.length) content[at] ^= value;
          else if (kind === "cut") content = content.subarray(0, at);
          else if (kind === "insert")
            content = Buffer.concat([content.subarray(0, at), Buffer.of(value), content.subarray(at)]);
          else if (kind === "drop") content = Buffer.concat([content.subarray(0, at), content.subarray(at + 1)]);
        }
        writeFileSync(path, content);
        memory.resetPeak();
        const before = memory.stats().liveBytes;
        codeOf(path);
        expect(memory.stats().liveBytes).toBe(before);
        expect(memory.stats().peakBytes - before).toBeLessThan(64 * bytes.length);
      }),
      { numRuns: 400 },
    );
  });
  it("headers of the right form with any content", () => {
    const number = fc.oneof(fc.nat(16), fc.integer(), fc.double(), fc.constantFrom(2 ** 53, 2 ** 63, -1, 1e300));
    const header = fc.dictionary(
      fc.string({ maxLength: 4 }),
      fc.oneof(
        {
          weight: 5,
          arbitrary: fc.record(
            {
              dtype: fc.constantFrom("F32", "F16", "I8", "BOOL", "F4", "I64", "x"),
              shape: fc.array(number, { maxLength: 3 }),
              data_offsets: fc.array(number, { maxLength: 3 }),
            },
            { requiredKeys: ["dtype"] },
          ),
        },
        { weight: 1, arbitrary: fc.jsonValue() },
      ),
      { maxKeys: 3 },
    );
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 16 }), (value, data) => {
        const before = memory.stats().liveBytes;
        memory.resetPeak();
        codeOf(build(value, data));
        expect(memory.stats().peakBytes - before).toBeLessThan(1000);
      }),
      { numRuns: 300 },
    );
  });
});

describe("safetensors: shards", () => {
  const write = (name: string, map: unknown): string => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    writeSafetensors(join(path, "model-00001-of-00002.safetensors"), [["a", tensor([1])]]);
    writeSafetensors(join(path, "model-00002-of-00002.safetensors"), [["b", tensor([2])]]);
    writeFileSync(
      join(path, "model.safetensors.index.json"),
      JSON.stringify({ metadata: { total_size: 8 }, weight_map: map }),
    );
    return path;
  };
  const map = { a: "model-00001-of-00002.safetensors", b: "model-00002-of-00002.safetensors" };
  it("reads a folder with an index", () => {
    const file = readSafetensors(write("sharded", map));
    expect(file.names).toEqual(["a", "b"]);
    expect(file.metadata).toEqual({ total_size: "8" });
    expect([file.load("a").item(), file.load("b").item(), file.has("c")]).toEqual([1, 2, false]);
    file.close();
    expect(() => file.load("a")).toThrow(expect.objectContaining({ code: "SAFETENSORS_CLOSED" }));
    const other = readSafetensors(join(folder, "sharded", "model.safetensors.index.json"));
    other.close();
    expect(() => other.load("a")).toThrow(expect.objectContaining({ code: "SAFETENSORS_CLOSED" }));
  });
  it("refuses places outside the folder, wrong places and what is no index", () => {
    for (const place of ["../x.safetensors", "/etc/passwd", "", ".", "..", "a\\b", 3, null]) {
      expect(codeOf(write("outside", { a: place }))).toBe("SAFETENSORS_INDEX_INVALID");
    }
    for (const value of [null, [], 3, "x"]) expect(codeOf(write("none", value))).toBe("SAFETENSORS_INDEX_INVALID");
    expect(codeOf(write("swapped", { a: map.b }))).toBe("SAFETENSORS_NAME_UNKNOWN");
    expect(codeOf(write("missing", { a: "model-3.safetensors" }))).toBe("FILE_NOT_FOUND");
    expect(codeOf(write("null-byte", { a: "a\0b" }))).toBe("FILE_READ");
  });
});
