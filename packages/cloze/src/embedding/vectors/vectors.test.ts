import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { vMeasure } from "../evaluation/index.js";
import { decodeVectors, encodeVectors, readNpy, truncateVectors, writeNpy } from "./index.js";

const fixtures = fileURLToPath(new URL("../../../test/fixtures/embedders", import.meta.url));
const { vectors, codes, clusterings } = JSON.parse(readFileSync(join(fixtures, "vectors.json"), "utf8")) as {
  vectors: number[][];
  codes: Record<"int8" | "uint8" | "binary" | "ubinary" | "ranged", number[][]>;
  clusterings: { classes: string[]; clusters: number[]; scores: number[] }[];
};
const flat = Float32Array.from(vectors.flat());
const width = vectors[0].length;
const folder = mkdtempSync(join(tmpdir(), "cloze-vectors-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(["int8", "uint8", "binary", "ubinary"] as const)("%s: the bytes of quantize_embeddings", (precision) => {
  const encoded = encodeVectors(flat, width, precision);
  expect(Array.from(encoded.data)).toEqual(codes[precision].flat());
  expect(encoded.rowLength).toBe(codes[precision][0].length);
});

test("8 bits by ranges from elsewhere: clipped, and within a step of what they stand for", () => {
  const ranges = { least: new Float32Array(width).fill(-1), largest: new Float32Array(width).fill(1.5) };
  const encoded = encodeVectors(flat, width, "int8", ranges);
  expect(Array.from(encoded.data)).toEqual(codes.ranged.flat());
  decodeVectors(encoded, width).forEach((value, i) => {
    expect(Math.abs(value - Math.max(-1, Math.min(1.5, flat[i])))).toBeLessThanOrEqual(2.5 / 255 + 1e-6);
  });
  expect(() =>
    encodeVectors(flat, width, "int8", { least: new Float32Array(2), largest: new Float32Array(2) }),
  ).toThrow(expect.objectContaining({ code: "DIMENSION_MISMATCH" }));
  expect(() => encodeVectors(flat.slice(0, width), width, "uint8")).toThrow(
    expect.objectContaining({ code: "VECTOR_RANGES" }),
  );
});

test("bits are the signs, whatever the width", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.array(fc.boolean(), { minLength: 30, maxLength: 90 }),
      (size, signs) => {
        const rows = Math.floor(signs.length / size);
        const values = Float32Array.from({ length: rows * size }, (_, i) => (signs[i] ? 0.5 : -0.5));
        for (const precision of ["binary", "ubinary"] as const) {
          const back = decodeVectors(encodeVectors(values, size, precision), size);
          expect(Array.from(back, Math.sign)).toEqual(Array.from(values, Math.sign));
        }
      },
    ),
  );
});

test("the first numbers, of length 1: cosines of slices do not change", () => {
  const cut = truncateVectors(flat, width, 3);
  for (let row = 0; row < vectors.length; row++) {
    const length = Math.hypot(...vectors[row].slice(0, 3));
    vectors[row].slice(0, 3).forEach((value, c) => {
      expect(cut[row * 3 + c]).toBeCloseTo(value / length, 5);
    });
  }
  expect(Array.from(truncateVectors(flat, width, 3, { normalize: false }))).toEqual(
    vectors.flatMap((row) => row.slice(0, 3).map(Math.fround)),
  );
  expect(() => truncateVectors(flat, width, width + 1)).toThrow(/1 to 11/);
});

test("NumPy's files, read and written", () => {
  for (const [name, expected] of [
    ["vectors.npy", flat],
    ["codes.npy", Int8Array.from(codes.int8.flat())],
  ] as const) {
    const read = readNpy(join(fixtures, name));
    expect(read.shape).toEqual([vectors.length, width]);
    expect(read.data).toEqual(expected);
    const path = join(folder, name);
    writeNpy(path, expected, [vectors.length, width]);
    expect(readNpy(path)).toEqual(read);
    expect(readFileSync(path)).toEqual(readFileSync(join(fixtures, name)));
  }
  writeFileSync(join(folder, "no.npy"), "text");
  writeFileSync(join(folder, "cut.npy"), readFileSync(join(fixtures, "vectors.npy")).subarray(0, 300));
  for (const name of ["no.npy", "cut.npy"])
    expect(() => readNpy(join(folder, name))).toThrow(expect.objectContaining({ code: "NPY_INVALID" }));
});

test("V-measure is scikit-learn's", () => {
  for (const { classes, clusters, scores } of clusterings) {
    const { homogeneity, completeness, vMeasure: value } = vMeasure(classes, clusters);
    [homogeneity, completeness, value].forEach((one, i) => {
      expect(one).toBeCloseTo(scores[i], 10);
    });
  }
});
