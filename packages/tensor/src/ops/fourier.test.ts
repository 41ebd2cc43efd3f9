import { describe, expect, it } from "vitest";
import { grad } from "../autograd.js";
import { backend } from "../backend/index.js";
import { randomNormal } from "../random.js";
import { type Tensor, tensor } from "../tensor.js";
import { expectClose, expectNativeEqualsReference, gradientCheck } from "../testing/index.js";
import { add, mul } from "./elementwise.js";
import { fft, irfft, rfft, type Spectrum } from "./fourier.js";
import { concat, permute, transpose } from "./movement.js";
import { sum } from "./reduce.js";

const sample = (shape: readonly number[], seed = 1): Tensor => randomNormal(shape, { seed });
const joined = ({ real, imaginary }: Spectrum): Tensor => concat([real, imaginary], -1);
// Products of small factors, primes above them (which take Bluestein's way), powers.
const lengths = [
  ...Array.from({ length: 40 }, (_, i) => i + 1),
  49,
  61,
  64,
  74,
  97,
  121,
  210,
  384,
  509,
  768,
  1009,
  1024,
];

/** The definition in float64; the difference is measured against the length of the row. */
function naive(re: ArrayLike<number>, im: ArrayLike<number>, n: number, sign: number): [number[], number[]] {
  const real: number[] = [];
  const imaginary: number[] = [];
  for (let k = 0; k < n; k++) {
    let a = 0;
    let b = 0;
    for (let j = 0; j < n; j++) {
      const angle = (sign * 2 * Math.PI * ((j * k) % n)) / n;
      a += re[j] * Math.cos(angle) - im[j] * Math.sin(angle);
      b += re[j] * Math.sin(angle) + im[j] * Math.cos(angle);
    }
    real.push(a);
    imaginary.push(b);
  }
  return [real, imaginary];
}
function expectSpectrum(received: ArrayLike<number>, expected: ArrayLike<number>, n: number): void {
  const scale = Math.sqrt(n);
  expectClose(
    Array.from(received, (x) => x / scale),
    Array.from(expected, (x) => x / scale),
    3e-6,
    `length ${n}`,
  );
}

describe("Fourier transforms", () => {
  it("equal the definition, for any length", () => {
    for (const n of lengths) {
      const [x, y] = [sample([n]), sample([n], 2)];
      const [a, b] = [x.toTypedArray(), y.toTypedArray()];
      const [re, im] = naive(a, b, n, -1);
      const whole = fft({ real: x, imaginary: y });
      expectSpectrum(whole.real.toTypedArray(), re, n);
      expectSpectrum(whole.imaginary.toTypedArray(), im, n);

      const [halfRe, halfIm] = naive(a, new Float32Array(n), n, -1).map((part) => part.slice(0, Math.floor(n / 2) + 1));
      const half = rfft(x);
      expectSpectrum(half.real.toTypedArray(), halfRe, n);
      expectSpectrum(half.imaginary.toTypedArray(), halfIm, n);
    }
  });
  it("go back to where they came from, for any number of rows", () => {
    for (const n of lengths) {
      for (const rows of n < 100 ? [1, 2, 15, 16, 17, 33, 65] : [3]) {
        const [x, y] = [sample([rows, n]), sample([rows, n], 2)];
        expectClose(irfft(rfft(x), n).toTypedArray(), x.toTypedArray(), 5e-6, `irfft ${n}`);
        const back = fft(fft({ real: x, imaginary: y }), { inverse: true });
        expectClose(back.real.toTypedArray(), x.toTypedArray(), 5e-6, `fft ${n}`);
        expectClose(back.imaginary.toTypedArray(), y.toTypedArray(), 5e-6, `fft ${n}`);
      }
    }
  });
  it("native equals reference", () => {
    for (const shape of [
      [1, 1],
      [3, 2],
      [37, 12],
      [5, 67],
      [2, 3, 30],
    ]) {
      const n = shape[shape.length - 1];
      const bins = [...shape.slice(0, -1), Math.floor(n / 2) + 1];
      expectNativeEqualsReference(() => joined(rfft(sample(shape))));
      expectNativeEqualsReference(() => joined(fft({ real: sample(shape), imaginary: sample(shape, 2) })));
      // Imaginary parts where a real row has none are passed over by both.
      expectNativeEqualsReference(() => irfft({ real: sample(bins), imaginary: sample(bins, 2) }, n));
    }
  });
  it("gradients of every part", () => {
    for (const n of [1, 2, 3, 4, 7, 8]) {
      const bins = Math.floor(n / 2) + 1;
      gradientCheck((x) => joined(rfft(x)), [[2, n]]);
      gradientCheck((x) => rfft(x).real, [[2, n]]);
      gradientCheck((x) => rfft(x).imaginary, [[2, n]]);
      gradientCheck(
        (real, imaginary) => irfft({ real, imaginary }, n),
        [
          [2, bins],
          [2, bins],
        ],
      );
      for (const inverse of [false, true]) {
        gradientCheck(
          (real, imaginary) => joined(fft({ real, imaginary }, { inverse })),
          [
            [2, n],
            [2, n],
          ],
        );
        gradientCheck(
          (real, imaginary) => fft({ real, imaginary }, { inverse }).imaginary,
          [
            [2, n],
            [2, n],
          ],
        );
      }
    }
    const power = (x: Tensor) => {
      const { real, imaginary } = rfft(x);
      return sum(mul(add(mul(real, real), mul(imaginary, imaginary)), real));
    };
    gradientCheck((x) => grad([power(x)], [x], { createGraph: true })[0], [[6]], { tolerance: 1e-5 });
  });
  it("views, empty batches, threads", () => {
    const x = transpose(sample([12, 5]));
    expectClose(rfft(x).real.toTypedArray(), rfft(tensor(x.toTypedArray(), x.shape)).real.toTypedArray(), 0);
    expect(rfft(sample([0, 6])).real.shape).toEqual([0, 4]);
    expect(irfft(rfft(sample([0, 6]))).shape).toEqual([0, 6]);
    const before = backend().threads();
    const [one, two] = [1, 2].map((threads) => {
      backend().setThreads(threads);
      return joined(rfft(sample([131, 48]))).toTypedArray();
    });
    backend().setThreads(before);
    expect(two).toEqual(one);
  });
  it("FNet's mixing: the real part of a transform over both axes", () => {
    const x = sample([6, 10]);
    const hidden = fft({ real: x, imaginary: mul(x, 0) });
    const swap = (y: Tensor) => permute(y, [1, 0]);
    const both = swap(fft({ real: swap(hidden.real), imaginary: swap(hidden.imaginary) }).real);
    const data = x.toTypedArray();
    const wanted = Array.from({ length: 60 }, (_, at) => {
      let total = 0;
      for (let i = 0; i < 6; i++)
        for (let j = 0; j < 10; j++)
          total += data[i * 10 + j] * Math.cos(2 * Math.PI * ((i * Math.floor(at / 10)) / 6 + (j * (at % 10)) / 10));
      return total;
    });
    expectClose(both.toTypedArray(), wanted, 1e-5);
  });
  it("refuses empty rows, whole numbers and lengths that do not fit", () => {
    const code = (value: string) => expect.objectContaining({ code: value });
    expect(() => rfft(sample([3, 0]))).toThrow(code("SHAPE_MISMATCH"));
    expect(() => rfft(tensor(1))).toThrow(code("SHAPE_MISMATCH"));
    expect(() => rfft(tensor(Int32Array.of(1)))).toThrow(code("DTYPE_NOT_SUPPORTED"));
    const half = rfft(sample([8]));
    for (const length of [7, 10, 8.5, 0]) expect(() => irfft(half, length)).toThrow(code("SHAPE_MISMATCH"));
    expect(irfft(half, 9).shape).toEqual([9]);
    expect(() => fft({ real: sample([4]), imaginary: sample([5]) })).toThrow(code("SHAPE_MISMATCH"));
  });
});
