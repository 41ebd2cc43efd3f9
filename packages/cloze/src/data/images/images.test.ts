import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync, gzipSync } from "node:zlib";
import { encode } from "fast-png";
import { afterAll, describe, expect, test } from "vitest";
import { createWarnings } from "../readers/warnings.js";
import { readCifar } from "./cifar.js";
import { normalizePixels, pixelStatistics, selectImages } from "./image-set.js";
import { decodePng } from "./png.js";
import { readImages } from "./read-images.js";
import { resample } from "./resample.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-images-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string): string => join(folder, name);
const code = (text: string) => expect.objectContaining({ code: text });

function chunk(type: string, body: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(type, "latin1"), body]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(body.length, 0);
  ends.writeUInt32BE(crc32(named), 4);
  return Buffer.concat([ends.subarray(0, 4), named, ends.subarray(4)]);
}
/** A PNG of lines that are filtered already. */
function png(
  width: number,
  height: number,
  colour: number,
  lines: readonly number[],
  palette?: readonly number[],
): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  header[9] = colour;
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    ...(palette ? [chunk("PLTE", Uint8Array.from(palette))] : []),
    chunk("IDAT", deflateSync(Uint8Array.from(lines))),
    chunk("IEND", new Uint8Array(0)),
  ]);
}
const plain = (side: number, value: number): Buffer =>
  png(side, side, 0, Array.from({ length: side }, () => [0, ...new Array<number>(side).fill(value)]).flat());

describe("PNG", () => {
  test("every filter is undone", () => {
    // Lines of 3 grey pixels; each says 10 20 30, then 11 21 31 and so on, through another filter.
    const lines = [
      [1, 10, 10, 10],
      [2, 1, 1, 1],
      [3, 12 - 5, 22 - Math.floor((12 + 21) / 2), 32 - Math.floor((22 + 31) / 2)],
      [4, 1, 1, 1],
      [0, 14, 24, 34],
    ];
    const { pixels, height, width } = decodePng(png(3, 5, 0, lines.flat()), "a.png");
    expect([height, width]).toEqual([5, 3]);
    const wanted = [10, 20, 30, 11, 21, 31, 12, 22, 32, 13, 23, 33, 14, 24, 34];
    expect([...pixels.subarray(0, 15)]).toEqual(wanted);
    expect([...pixels.subarray(15, 30)]).toEqual(wanted);
  });
  test("colours, palettes and transparency", () => {
    const rgb = decodePng(png(2, 1, 2, [0, 1, 2, 3, 4, 5, 6]), "a.png");
    expect([...rgb.pixels]).toEqual([1, 4, 2, 5, 3, 6]);
    const rgba = decodePng(png(2, 1, 6, [0, 1, 2, 3, 99, 4, 5, 6, 99]), "a.png");
    expect([...rgba.pixels]).toEqual([1, 4, 2, 5, 3, 6]);
    const indexed = decodePng(png(2, 1, 3, [0, 1, 0], [7, 8, 9, 1, 2, 3]), "a.png");
    expect([...indexed.pixels]).toEqual([1, 7, 2, 8, 3, 9]);
    expect([...decodePng(png(1, 1, 4, [0, 5, 99]), "a.png").pixels]).toEqual([5, 5, 5]);
  });
  test("values of a bit, of two and of sixteen", () => {
    const bits = encode({ width: 3, height: 2, depth: 1, channels: 1, data: Uint8Array.of(0b10100000, 0b01000000) });
    expect([...decodePng(bits, "a.png").pixels.subarray(0, 6)]).toEqual([255, 0, 255, 0, 255, 0]);
    const pairs = encode({ width: 3, height: 1, depth: 2, channels: 1, data: Uint8Array.of(0b00011100) });
    expect([...decodePng(pairs, "a.png").pixels.subarray(0, 3)]).toEqual([0, 85, 255]);
    const fine = encode({ width: 1, height: 1, depth: 16, channels: 3, data: Uint16Array.of(256, 512, 65535) });
    expect([...decodePng(fine, "a.png").pixels]).toEqual([1, 2, 255]);
  });
  test("a header that claims more than memory has is not believed", () => {
    const bytes = plain(4, 9);
    bytes.writeUInt32BE(1 << 30, 16);
    expect(() => decodePng(bytes, "b.png")).toThrow(code("IMAGE_BROKEN"));
  });
  test("what is broken has a code", () => {
    const whole = plain(4, 9);
    for (const bytes of [
      whole.subarray(0, 60),
      Buffer.from("no png"),
      png(4, 4, 0, [0, 1]),
      png(2, 1, 0, [7, 1, 1]),
      png(2, 2, 9, [0]),
    ]) {
      expect(() => decodePng(bytes, "b.png")).toThrow(code("IMAGE_BROKEN"));
    }
  });
});

describe("CIFAR-10's records", () => {
  const record = (label: number, first: number) => [
    label,
    ...Array.from({ length: 3072 }, (_, i) => (first + i) % 256),
  ];
  test("are read, packed or not; one that is cut off is counted", () => {
    const bytes = Uint8Array.from([...record(3, 0), ...record(7, 100), 1, 2, 3]);
    writeFileSync(path("two.bin.gz"), gzipSync(bytes));
    const warnings = createWarnings();
    const { count, labels, pixels } = readCifar(path("two.bin.gz"), warnings);
    expect([count, ...labels]).toEqual([2, 3, 7]);
    expect([pixels[0], pixels[1], pixels[3072]]).toEqual([0, 1, 100]);
    expect(warnings.list()).toMatchObject([{ code: "IMAGE_CUT", count: 1 }]);
  });
  test("that are none have a code", () => {
    writeFileSync(path("short.bin"), "abc");
    expect(() => readCifar(path("short.bin"))).toThrow(code("DATA_EMPTY"));
    expect(() => readCifar(path("missing.bin"))).toThrow(code("DATA_FILE_MISSING"));
    writeFileSync(path("cut.bin.gz"), gzipSync(Uint8Array.from(record(1, 1))).subarray(0, 50));
    expect(() => readCifar(path("cut.bin.gz"))).toThrow(code("DATA_COMPRESSION"));
  });
});

describe("readImages", () => {
  test("takes folders as classes, scales to one size, and counts what it leaves out", () => {
    for (const name of ["photos/cat", "photos/dog"]) mkdirSync(path(name), { recursive: true });
    writeFileSync(path("photos/cat/a.png"), plain(8, 10));
    writeFileSync(path("photos/cat/broken.png"), plain(8, 10).subarray(0, 50));
    writeFileSync(path("photos/dog/b.png"), plain(12, 200));
    writeFileSync(path("photos/dog/c.jpg"), Buffer.from([0xff, 0xd8, 0xff]));
    writeFileSync(path("photos/notes.txt"), "notes");
    const { images, classes, warnings } = readImages([path("photos")]);
    expect(images).toMatchObject({ count: 2, channels: 3, height: 8, width: 8 });
    expect([classes, [...(images.labels ?? [])]]).toEqual([
      ["cat", "dog"],
      [0, 1],
    ]);
    expect([images.pixels[0], images.pixels[192]]).toEqual([10, 200]);
    expect(warnings.map(({ code: kind, count }) => [kind, count])).toEqual([
      ["IMAGE_BROKEN", 1],
      ["IMAGE_FORMAT", 1],
    ]);
    expect(readImages([path("photos")], { size: 4 }).images.pixels).toHaveLength(2 * 48);
    expect(readImages([path("photos/cat/a.png")]).classes).toBeUndefined();
  });
  test("says why there are none", () => {
    mkdirSync(path("nothing"));
    writeFileSync(path("nothing/broken.png"), "x");
    expect(() => readImages([path("nothing")])).toThrow(code("DATA_EMPTY"));
    expect(() => readImages([path("nothing")])).toThrow(/IMAGE_BROKEN 1/);
    expect(() => readImages([path("nowhere")])).toThrow(code("DATA_FILE_MISSING"));
  });
});

describe("resample", () => {
  const image = Uint8Array.from({ length: 3 * 64 }, (_, i) => (i * 37) % 251);
  const size = { channels: 3, height: 8, width: 8 };
  const whole = { top: 0, left: 0, height: 8, width: 8 };
  test("leaves an image of that size as it is, and cuts parts out", () => {
    expect(resample(image, size, whole, 8, 8)).toEqual(image);
    const part = resample(image, size, { top: 2, left: 3, height: 4, width: 4 }, 4, 4);
    expect([...part.subarray(0, 4)]).toEqual([...image.subarray(19, 23)]);
  });
  test("keeps means, slopes and plain colours", () => {
    const flat = new Uint8Array(192).fill(77);
    expect(new Set(resample(flat, size, { top: 1.3, left: 0, height: 5, width: 7.9 }, 5, 11))).toEqual(new Set([77]));
    const slope = Uint8Array.from({ length: 64 }, (_, i) => 8 + 16 * (i % 8));
    const longer = Uint8Array.from({ length: 16 }, (_, i) => 8 + 8 * i);
    const half = resample(
      longer,
      { channels: 1, height: 1, width: 16 },
      { top: 0, left: 0, height: 1, width: 16 },
      1,
      8,
    );
    // Away from the edges a straight line stays one.
    expect([...half.subarray(2, 6)]).toEqual([44, 60, 76, 92]);
    const twice = resample(slope, { channels: 1, height: 8, width: 8 }, whole, 16, 16);
    expect([...twice.subarray(4, 12)]).toEqual([36, 44, 52, 60, 68, 76, 84, 92]);
  });
});

test("pixels are normalised by channel", () => {
  const images = { count: 2, channels: 2, height: 1, width: 2, pixels: Uint8Array.of(0, 10, 5, 5, 20, 30, 5, 5) };
  const statistics = pixelStatistics(images);
  expect(statistics.mean[0]).toBeCloseTo(15 / 255, 6);
  expect(statistics.deviation).toEqual([expect.closeTo(Math.sqrt(125) / 255, 6), 1]);
  const values = normalizePixels(images, statistics);
  expect(values[0]).toBeCloseTo(-15 / Math.sqrt(125), 4);
  expect(values[2]).toBeCloseTo(0, 6);
  expect([...selectImages(images, [1]).pixels]).toEqual([20, 30, 5, 5]);
});
