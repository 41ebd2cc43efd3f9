import fc from "fast-check";
import { expect, test } from "vitest";
import { vectorJson, vectorListJson } from "./vector-json.js";

const listOf = (vectors: readonly Float32Array[]) => vectorListJson(vectors).json.toString();

test("any float32 numbers are read as the same float32 numbers, as from JSON.stringify", () => {
  const values = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { maxLength: 20 });
  const usual = fc.array(fc.float({ noNaN: true, min: -1, max: 1 }), { maxLength: 20 });
  fc.assert(
    fc.property(fc.array(fc.oneof(values, usual), { maxLength: 5 }), (lists) => {
      const vectors = lists.map((list) => Float32Array.from(list));
      const read = JSON.parse(listOf(vectors)) as number[][];
      const plain = JSON.parse(JSON.stringify(vectors.map((vector) => Array.from(vector)))) as number[][];
      expect(read.map((list) => Float32Array.from(list))).toEqual(plain.map((list) => Float32Array.from(list)));
    }),
    { numRuns: 300 },
  );
});

test("numbers around the powers of ten, the largest, the smallest, and none", () => {
  const edges = Array.from({ length: 12 }, (_, i) => Math.fround(10 ** (2 - i)));
  const bits = new Int32Array(Float32Array.from(edges).buffer);
  const near = new Float32Array(Int32Array.from([...bits].flatMap((bit) => [bit - 1, bit, bit + 1])).buffer);
  const others = [0, 1.401298464324817e-45, 3.4028234663852886e38];
  const vector = Float32Array.from([...near, ...others].flatMap((value) => [value, -value]));
  expect(Float32Array.from((JSON.parse(listOf([vector])) as number[][])[0])).toEqual(
    vector.map((value) => (value === 0 ? 0 : value)),
  );
  expect(listOf([Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY)])).toBe("[[null,null]]");
  expect(listOf([])).toBe("[]");
  expect(listOf([new Float32Array(0), Float32Array.of(0.5, -0.0625)])).toBe("[[],[0.500000000,-0.0625000000]]");
});

test("texts around vectors may hold any letters", () => {
  const { json } = vectorJson([Float32Array.of(2)], ['{"größe 😀":', ',"ß":1}']);
  expect(JSON.parse(json.toString())).toEqual({ "größe 😀": [2], ß: 1 });
});
