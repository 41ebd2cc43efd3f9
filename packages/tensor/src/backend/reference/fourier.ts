import type { FourierKernels } from "../contract/fourier.js";
import type { ReferenceMemory } from "./memory.js";

type Numbers = Float32Array | Float64Array;

/** The definition, term by term: result[k] = sum over j of (re[j] + i im[j]) exp(sign 2 pi i j k / n), for k below `count`. */
function transform(re: Numbers, im: Numbers, n: number, count: number, sign: number): [Float64Array, Float64Array] {
  const cos = Float64Array.from({ length: n }, (_, k) => Math.cos((2 * Math.PI * k) / n));
  const sin = Float64Array.from({ length: n }, (_, k) => sign * Math.sin((2 * Math.PI * k) / n));
  const real = new Float64Array(count);
  const imaginary = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    for (let j = 0; j < n; j++) {
      const turn = (j * k) % n;
      real[k] += re[j] * cos[turn] - im[j] * sin[turn];
      imaginary[k] += re[j] * sin[turn] + im[j] * cos[turn];
    }
  }
  return [real, imaginary];
}

export function fourierKernels({ real, integer }: ReferenceMemory): FourierKernels {
  return {
    fftF32(re, im, yRe, yIm, rows, n, inverse) {
      for (let row = 0; row < rows; row++) {
        const part = (pointer: typeof re) => real(pointer).subarray(row * n, (row + 1) * n);
        const [a, b] = transform(part(re), part(im), n, n, inverse ? 1 : -1);
        const scale = inverse ? 1 / n : 1;
        for (let k = 0; k < n; k++) {
          part(yRe)[k] = a[k] * scale;
          part(yIm)[k] = b[k] * scale;
        }
      }
      return 0;
    },
    rfftF32(x, yRe, yIm, rows, n) {
      const half = Math.floor(n / 2) + 1;
      const zeros = new Float64Array(n);
      for (let row = 0; row < rows; row++) {
        const [a, b] = transform(real(x).subarray(row * n, (row + 1) * n), zeros, n, half, -1);
        real(yRe).set(a, row * half);
        real(yIm).set(b, row * half);
      }
      return 0;
    },
    irfftF32(re, im, y, rows, n) {
      const half = Math.floor(n / 2) + 1;
      for (let row = 0; row < rows; row++) {
        const from = real(re).subarray(row * half, (row + 1) * half);
        const fromIm = real(im).subarray(row * half, (row + 1) * half);
        const whole = new Float64Array(n);
        const wholeIm = new Float64Array(n);
        for (let k = 0; k < half; k++) {
          const alone = k === 0 || 2 * k === n;
          whole[k] = from[k];
          wholeIm[k] = alone ? 0 : fromIm[k];
          if (alone) continue;
          whole[n - k] = from[k];
          wholeIm[n - k] = -fromIm[k];
        }
        const [a] = transform(whole, wholeIm, n, n, 1);
        real(y).set(
          a.map((value) => value / n),
          row * n,
        );
      }
      return 0;
    },
    fourierMixF32(x, _re, _im, y, offsets, sequences, _tokens, width) {
      const [from, to, ends] = [real(x), real(y), integer(offsets)];
      for (let s = 0; s < sequences; s++) {
        const [start, length] = [ends[s], ends[s + 1] - ends[s]];
        const rows = Array.from({ length }, (_, n) =>
          transform(
            from.subarray((start + n) * width, (start + n + 1) * width),
            new Float64Array(width),
            width,
            width,
            -1,
          ),
        );
        for (let k = 0; k < width; k++) {
          const [re, im] = [0, 1].map((part) => Float64Array.from(rows, (row) => row[part][k]));
          const [column] = transform(re, im, length, length, -1);
          for (let m = 0; m < length; m++) to[(start + m) * width + k] = column[m];
        }
      }
      return 0;
    },
  };
}
