import { expect, test } from "vitest";
import { backend, createReferenceBackend, withBackend } from "../backend/index.js";
import { linear } from "../ops/linear.js";
import { createRandom, randomNormal } from "../random.js";
import { empty, type Tensor, tensor } from "../tensor.js";

const activations = [0, 1, 3];
const sizes = [
  [1, 1, 1],
  [1, 33, 7],
  [3, 32, 64],
  [14, 40, 130],
  [37, 96, 255],
  [200, 70, 384],
];

/** What the kernels give for codes of x and w, and the parameters that they found. */
function run(x: Tensor, w: Tensor, bias: Tensor | null, activation = 0, residual: Tensor | null = null) {
  const [m, k] = x.shape;
  const n = w.shape[0];
  const { kernels } = backend();
  const codes = empty([m * (kernels.int8RowBytes(k) / 4)]);
  const parameters = empty([m, 2]);
  const packed = empty([Math.ceil(kernels.packedInt8Bytes(n, k) / 4)]);
  const columns = empty([2, n]);
  const y = empty([m, n]);
  kernels.quantizeRowsF32(x.pointer, codes.pointer, parameters.pointer, m, k);
  kernels.packInt8F32(w.pointer, packed.pointer, columns.pointer, n, k);
  kernels.linearInt8F32(
    codes.pointer,
    parameters.pointer,
    packed.pointer,
    columns.pointer,
    bias?.pointer ?? null,
    y.pointer,
    m,
    n,
    k,
    activation,
    residual?.pointer ?? null,
  );
  return { y: Array.from(y.toTypedArray()), parameters: parameters.toTypedArray(), columns: columns.toTypedArray() };
}

test("extreme codes: no sum saturates, every one is the exact integer", () => {
  // All codes 255 (zero 0) against weights of 127 and -127: 4 x 255 x 127 is far beyond 16 bits.
  for (const k of [1, 2, 3, 4, 5, 64, 1023, 3072]) {
    const x = tensor(new Float32Array(5 * k).fill(255), [5, k]);
    const w = tensor(
      Float32Array.from({ length: 4 * k }, (_, i) => [127, -127, i % 2 === 0 ? 127 : -127, 127][Math.floor(i / k)]),
      [4, k],
    );
    const { y } = run(x, w, null);
    const mixed = Array.from({ length: k }, (_, i) => ((2 * k + i) % 2 === 0 ? 127 : -127)).reduce((a, b) => a + b, 0);
    for (let row = 0; row < 5; row++) {
      expect(y.slice(4 * row, 4 * row + 4)).toEqual(
        [255 * 127 * k, -255 * 127 * k, 255 * mixed, 255 * 127 * k].map(Math.fround),
      );
    }
  }
});

test("random codes against integer arithmetic, for odd sizes, with bias, residual and activation", () => {
  for (const [m, n, k] of sizes) {
    const random = createRandom(m * 1000 + n);
    const [x, w, bias, residual] = [[m, k], [n, k], [n], [m, n]].map((shape) =>
      randomNormal(shape, { seed: random.fork(shape.join()) }),
    );
    const { parameters, columns } = run(x, w, null);
    const [xs, ws] = [x.toTypedArray(), w.toTypedArray()];
    for (const activation of activations) {
      const { y } = run(x, w, bias, activation, residual);
      const close = linear(x, w, bias, {
        activation: (["none", "gelu", "geluTanh", "relu"] as const)[activation],
      }).toTypedArray();
      const added = residual.toTypedArray();
      let worst = 0;
      y.forEach((value, i) => {
        worst = Math.max(worst, Math.abs(value - close[i] - added[i]));
      });
      // Each code is off by at most half a step: 1/510 of a row's range, 1/254 of a column's largest weight.
      expect(worst).toBeLessThan(0.012 * Math.sqrt(k) * 4);
    }
    const exact = (row: number, column: number): number => {
      const [scale, zero] = [parameters[2 * row], parameters[2 * row + 1]];
      let sum = 0;
      for (let i = 0; i < k; i++) {
        const a = Math.floor(Math.min(255, Math.max(0, Math.fround(xs[row * k + i]) / scale + zero + 0.5)));
        sum += (a - zero) * Math.round(ws[column * k + i] / columns[column]);
      }
      return sum * scale * columns[column];
    };
    const plain = run(x, w, null).y;
    // A number that lies between two codes may fall to either side by rounding; the sum then differs by one step.
    const step = (row: number, column: number) => 127 * parameters[2 * row] * columns[column];
    for (let row = 0; row < m; row += 5) {
      for (let column = 0; column < n; column += 7) {
        expect(Math.abs(plain[row * n + column] - exact(row, column))).toBeLessThan(2.1 * step(row, column) + 1e-5);
      }
    }
  }
});

test.skipIf(backend().name === "reference")("native = reference", () => {
  const native = [
    [14, 40, 130],
    [3, 5, 9],
  ].map(([m, n, k]) => {
    const [x, w] = [randomNormal([m, k], { seed: 3 }), randomNormal([n, k], { seed: 4 })];
    return { shape: [m, n, k], x: x.toTypedArray(), w: w.toTypedArray(), result: run(x, w, null, 1) };
  });
  withBackend(createReferenceBackend(), () => {
    for (const {
      shape: [m, n, k],
      x,
      w,
      result,
    } of native) {
      const { y, parameters, columns } = run(
        tensor(x as Float32Array, [m, k]),
        tensor(w as Float32Array, [n, k]),
        null,
        1,
      );
      expect(Math.max(...y.map((value, i) => Math.abs(value - result.y[i])))).toBeLessThan(0.02);
      for (const [i, value] of parameters.entries()) expect(value).toBeCloseTo(result.parameters[i], 5);
      for (const [i, value] of columns.entries()) expect(value).toBeCloseTo(result.columns[i], 4);
    }
  });
});

test("zeros are exact, and what is no number stays none", () => {
  const w = randomNormal([3, 8], { seed: 1 });
  expect(run(tensor(new Float32Array(16), [2, 8]), w, null).y).toEqual(new Array(6).fill(0));
  const broken = tensor(
    Float32Array.of(1, 2, Number.NaN, 4, 5, 6, 7, 8, 1, 1, 1, 1, Number.POSITIVE_INFINITY, 1, 1, 1),
    [2, 8],
  );
  for (const value of run(broken, w, null).y) expect(value).toBeNaN();
});
