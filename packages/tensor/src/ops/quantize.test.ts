import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backend } from "../backend/index.js";
import { memory } from "../memory.js";
import { randomNormal } from "../random.js";
import { type Tensor, tensor, zeros } from "../tensor.js";
import { expectClose, expectNativeEqualsReference } from "../testing/index.js";
import { add, mul, toInteger } from "./elementwise.js";
import { slice, transpose } from "./movement.js";
import { dequantizeInt8, fromBfloat16, type Int8Options, quantizeInt8, toBfloat16 } from "./quantize.js";

const sample = (shape: readonly number[]): Tensor => randomNormal(shape, { seed: 4 });
const code = (value: string) => expect.objectContaining({ code: value });

describe("bfloat16", () => {
  it("rounds to the nearest, ties to even, and keeps what is not finite", () => {
    const bits = (words: number[]) => tensor(new Float32Array(Uint32Array.from(words).buffer));
    const x = bits([0x3f800000, 0x3f807fff, 0x3f808000, 0x3f808001, 0x3f818000, 0x80000000, 0x7f800000, 0xff800000]);
    expect([...toBfloat16(x).toTypedArray()]).toEqual([0x3f80, 0x3f80, 0x3f80, 0x3f81, 0x3f82, 0x8000, 0x7f80, 0xff80]);
    // NaN with low bits only, and the largest number, which rounds to infinity.
    const odd = toBfloat16(bits([0x7f800001, 0xffffffff, 0x7f7fffff, 0x00000001]));
    expect([...odd.toTypedArray()]).toEqual([0x7fc0, 0xffff, 0x7f80, 0]);
    expect(fromBfloat16(odd).toTypedArray().slice(0, 2).every(Number.isNaN)).toBe(true);
  });
  it("goes there and back exactly for every bfloat16 number", () => {
    const all = tensor(Uint16Array.from({ length: 65536 }, (_, i) => i));
    const back = toBfloat16(fromBfloat16(all)).toTypedArray();
    let wrong = 0;
    for (let i = 0; i < 65536; i++) {
      const missing = (i & 0x7fff) > 0x7f80;
      if (back[i] !== (missing ? i | 0x40 : i)) wrong++;
    }
    expect(wrong).toBe(0);
  });
  it("native equals reference; views; no elements", () => {
    for (const shape of [[0], [], [1], [13], [16_411], [3, 0]]) {
      expectNativeEqualsReference(() => fromBfloat16(toBfloat16(sample(shape))), 0);
      expectClose(fromBfloat16(toBfloat16(sample(shape))).toTypedArray(), sample(shape).toTypedArray(), 2 ** -8);
    }
    const view = transpose(slice(sample([5, 7]), [{ start: 1 }, { start: 2 }]));
    const copy = tensor(view.toTypedArray(), view.shape);
    expect(toBfloat16(view).toTypedArray()).toEqual(toBfloat16(copy).toTypedArray());
    expect(fromBfloat16(transpose(toBfloat16(view))).shape).toEqual([4, 5]);
  });
  it("refuses other types", () => {
    expect(() => toBfloat16(tensor(Int32Array.of(1)))).toThrow(code("DTYPE_NOT_SUPPORTED"));
    expect(() => fromBfloat16(tensor([1]))).toThrow(code("DTYPE_NOT_SUPPORTED"));
  });
});

describe("int8 codes", () => {
  const variants: Int8Options[] = [{}, { symmetric: true }, { per: "row" }, { per: "row", symmetric: true }];
  it("are off by at most half a scale, and hold 0 exactly, for any numbers", () => {
    const number = fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(-1e30), max: Math.fround(1e30) });
    for (const options of variants) {
      fc.assert(
        fc.property(fc.array(number, { minLength: 2, maxLength: 20 }), (list) => {
          const data = [...list.slice(list.length % 2), 0, 0];
          const x = tensor(Float32Array.from(data), [2, data.length / 2]);
          const codes = quantizeInt8(x, options);
          const back = dequantizeInt8(codes).toTypedArray();
          const scales = codes.scale.toTypedArray();
          data.forEach((value, i) => {
            const scale = scales[options.per === "row" ? Math.floor(i / x.shape[1]) : 0];
            expect(Math.abs(back[i] - value)).toBeLessThanOrEqual(scale * 0.501 + Math.abs(value) * 1e-6);
            if (value === 0) expect(Math.abs(back[i])).toBe(0);
          });
          if (options.symmetric) {
            expect(codes.zeroPoint.toTypedArray().every((zero) => zero === 0)).toBe(true);
            expect(codes.values.toTypedArray().every((value) => value >= -127)).toBe(true);
          }
        }),
        { numRuns: 100 },
      );
    }
  });
  it("use the whole range", () => {
    const x = tensor([
      [0, 255],
      [-100, 155],
    ]);
    const whole = quantizeInt8(x);
    expect(whole.scale.shape).toEqual([]);
    expect([Math.min(...whole.values.toTypedArray()), Math.max(...whole.values.toTypedArray())]).toEqual([-128, 127]);
    const rows = quantizeInt8(x, { per: "row" });
    expect(rows.scale.shape).toEqual([2]);
    expect(rows.values.toArray()).toEqual([
      [-128, 127],
      [-128, 127],
    ]);
    expect(rows.zeroPoint.toArray()).toEqual([-128, -28]);
  });
  it("native equals reference: every size and layout; threads", () => {
    for (const options of variants) {
      for (const shape of [[0], [1], [13], [7, 67], [3, 5, 11], [2, 40_009], [0, 4], [4, 0]]) {
        expectNativeEqualsReference(() => dequantizeInt8(quantizeInt8(sample(shape), options)), 1e-6);
        const { values, scale } = quantizeInt8(sample(shape), options);
        expect(values.shape).toEqual(shape);
        expect(scale.shape).toEqual(options.per === "row" ? shape.slice(0, -1) : []);
      }
    }
    const x = sample([300, 301]);
    const before = backend().threads();
    const [one, two] = [1, 2].map((threads) => {
      backend().setThreads(threads);
      return quantizeInt8(x, { per: "row" }).values.toTypedArray();
    });
    backend().setThreads(before);
    expect(two).toEqual(one);
    expect(quantizeInt8(transpose(x)).values.toArray()).toEqual(transpose(quantizeInt8(x).values).toArray());
  });
  it("zeros, tiny and huge numbers", () => {
    expect(dequantizeInt8(quantizeInt8(zeros([3]))).toArray()).toEqual([0, 0, 0]);
    expect(
      dequantizeInt8(quantizeInt8(tensor([1e-45, -1e-45])))
        .toTypedArray()
        .every(Number.isFinite),
    ).toBe(true);
    const huge = quantizeInt8(tensor([3e38, -3e38]));
    expectClose(
      dequantizeInt8(huge)
        .toTypedArray()
        .map((x) => x / 3e38),
      [1, -1],
      0.01,
    );
  });
  it("refuse what is not finite, other types, and scales that do not fit; nothing leaks", () => {
    const before = memory.stats().liveBytes;
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const x = tensor([1, value]);
      expect(() => quantizeInt8(x)).toThrow(code("NOT_FINITE"));
      x.dispose();
    }
    const x = sample([3, 4]);
    const view = transpose(x);
    const codes = quantizeInt8(view, { per: "row" });
    const back = dequantizeInt8(codes);
    for (const used of [view, back, codes.values, codes.scale, codes.zeroPoint]) used.dispose();
    x.dispose();
    expect(memory.stats().liveBytes).toBe(before);

    expect(() => quantizeInt8(tensor(Int8Array.of(1)))).toThrow(code("DTYPE_NOT_SUPPORTED"));
    expect(() => quantizeInt8(tensor(1), { per: "row" })).toThrow(code("SHAPE_MISMATCH"));
    const good = quantizeInt8(sample([3, 4]), { per: "row" });
    expect(() => dequantizeInt8({ ...good, scale: sample([4]) })).toThrow(code("SHAPE_MISMATCH"));
    expect(() => dequantizeInt8({ ...good, values: sample([3, 4]) })).toThrow(code("DTYPE_NOT_SUPPORTED"));
    expect(() => dequantizeInt8({ ...good, zeroPoint: sample([3]) })).toThrow(code("DTYPE_NOT_SUPPORTED"));
    expect(dequantizeInt8({ ...good, zeroPoint: toInteger(add(mul(good.scale, 0), 1)) }).shape).toEqual([3, 4]);
  });
});
