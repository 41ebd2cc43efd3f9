// Discrete Fourier transforms along the last axis, of any length.
import type { FourierPlan } from "../backend/contract/fourier.js";
import { backend } from "../backend/index.js";
import { isReal } from "../dtype.js";
import { ClozeError } from "../errors.js";
import { record } from "../graph.js";
import { checkShape, formatShape, sameShape } from "../shape.js";
import { empty, type Tensor, tensor, zeros } from "../tensor.js";
import { mul } from "./elementwise.js";
import { contiguous } from "./movement.js";

/** Complex numbers: two tensors of the same shape. */
export interface Spectrum {
  real: Tensor;
  imaginary: Tensor;
}

/** In the order of the passes. One of a larger prime would cost more than Bluestein's detour. */
const radices = [4, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31];

/** A length as a product of radices; undefined where it has a larger prime factor. */
function factorsOf(n: number): number[] | undefined {
  const factors: number[] = [];
  let rest = n;
  for (const radix of radices) {
    for (; rest % radix === 0; rest /= radix) factors.push(radix);
  }
  return rest === 1 ? factors : undefined;
}

/** In place, for powers of two, in double precision: only for tables. */
function tableTransform(re: Float64Array, im: Float64Array): void {
  const n = re.length;
  if (n === 1) return;
  const parts = [0, 1].map((odd) => {
    const a = Float64Array.from({ length: n / 2 }, (_, i) => re[2 * i + odd]);
    const b = Float64Array.from({ length: n / 2 }, (_, i) => im[2 * i + odd]);
    tableTransform(a, b);
    return [a, b];
  });
  const [[evenRe, evenIm], [oddRe, oddIm]] = parts;
  for (let k = 0; k < n / 2; k++) {
    const cos = Math.cos((2 * Math.PI * k) / n);
    const sin = -Math.sin((2 * Math.PI * k) / n);
    const a = oddRe[k] * cos - oddIm[k] * sin;
    const b = oddRe[k] * sin + oddIm[k] * cos;
    re[k] = evenRe[k] + a;
    im[k] = evenIm[k] + b;
    re[k + n / 2] = evenRe[k] - a;
    im[k + n / 2] = evenIm[k] - b;
  }
}

function rootTable(n: number): Float32Array {
  const roots = new Float32Array(2 * n);
  for (let k = 0; k < n; k++) {
    roots[2 * k] = Math.cos((2 * Math.PI * k) / n);
    roots[2 * k + 1] = -Math.sin((2 * Math.PI * k) / n);
  }
  return roots;
}

/** The tables of a length. */
export function fourierTables(n: number): FourierPlan {
  const direct = factorsOf(n);
  if (direct !== undefined) return { factors: Int32Array.from(direct), roots: rootTable(n), size: n, chirp: null };
  // Bluestein: the transform as a convolution with a chirp, done with transforms of a power of two.
  const size = 2 ** Math.ceil(Math.log2(2 * n - 1));
  const chirp = new Float32Array(2 * n + 2 * size);
  const re = new Float64Array(size);
  const im = new Float64Array(size);
  for (let j = 0; j < n; j++) {
    const angle = (Math.PI * ((j * j) % (2 * n))) / n;
    chirp[2 * j] = Math.cos(angle);
    chirp[2 * j + 1] = -Math.sin(angle);
    for (const at of [j, (size - j) % size]) {
      re[at] = Math.cos(angle);
      im[at] = Math.sin(angle);
    }
  }
  tableTransform(re, im);
  for (let k = 0; k < size; k++) {
    chirp[2 * (n + k)] = re[k] / size;
    chirp[2 * (n + k) + 1] = im[k] / size;
  }
  return { factors: Int32Array.from(factorsOf(size) ?? []), roots: rootTable(size), size, chirp };
}

const plans = new Map<number, FourierPlan>();
const noPlan: FourierPlan = { factors: new Int32Array(0), roots: new Float32Array(0), size: 0, chirp: null };

/** The tables of a length as the last arguments of a kernel. */
function planArguments(n: number): [Int32Array, number, Float32Array, number, Float32Array | null] {
  let plan = backend().name === "reference" ? noPlan : plans.get(n);
  if (plan === undefined) {
    plan = fourierTables(n);
    if (plans.size >= 64) plans.delete(plans.keys().next().value as number);
    plans.set(n, plan);
  }
  return [plan.factors, plan.factors.length, plan.roots, plan.size, plan.chirp];
}

function check(operation: string, x: Tensor): void {
  if (!isReal(x.dtype)) {
    throw new ClozeError("DTYPE_NOT_SUPPORTED", `${operation} works on float32 and float64`, {
      received: x.dtype,
      remedy: "Call toFloat() first.",
    });
  }
  checkShape(x.rank >= 1 && x.shape[x.rank - 1] > 0, operation, "rows of at least one number", formatShape(x.shape));
}

function checkPair(operation: string, { real, imaginary }: Spectrum): void {
  check(operation, real);
  check(operation, imaginary);
  checkShape(
    sameShape(real.shape, imaginary.shape) && real.dtype === imaginary.dtype,
    operation,
    "real and imaginary parts of one shape and type",
    `${formatShape(real.shape)} and ${formatShape(imaginary.shape)}`,
  );
}

function checkDone(operation: string, failed: number): void {
  if (failed === 0) return;
  throw new ClozeError("OUT_OF_MEMORY", `${operation}: the system has no room for the transform`, {
    remedy: "Use shorter rows.",
  });
}

/** [inner] for all numbers of a half spectrum, [alone] for those that have no mirror image: the first, and the middle. */
function mirrorWeights(n: number, inner: number, alone: number, dtype: Tensor["dtype"]): Tensor {
  const bins = Math.floor(n / 2) + 1;
  const weights = new Float64Array(bins).fill(inner);
  weights[0] = alone;
  if (n % 2 === 0) weights[bins - 1] = alone;
  return tensor([...weights], [bins], dtype);
}

const orZeros = (g: Tensor | undefined, like: Tensor): Tensor => g ?? zeros(like.shape, like.dtype);

/**
 * The spectrum of real rows: X[k] = sum over j of x[j] exp(-2 pi i j k / n), for k from 0 to floor(n / 2); the other half
 * is the mirror image. x: [..., n] -> real and imaginary parts [..., floor(n / 2) + 1].
 *
 * @throws DTYPE_NOT_SUPPORTED, SHAPE_MISMATCH
 * @example
 * const { real, imaginary } = rfft(signal);
 * const back = irfft({ real, imaginary }, 384);
 */
export function rfft(x: Tensor): Spectrum {
  check("rfft", x);
  const n = x.shape[x.rank - 1];
  const source = contiguous(x);
  const shape = [...x.shape.slice(0, -1), Math.floor(n / 2) + 1];
  const outputs = [empty(shape, x.dtype), empty(shape, x.dtype)];
  const [re, im] = outputs;
  const rows = x.size / n;
  if (rows > 0)
    checkDone("rfft", backend().kernels.rfftF32(source.pointer, re.pointer, im.pointer, rows, n, ...planArguments(n)));
  const [real, imaginary] = record({
    name: "rfft",
    inputs: [source],
    outputs,
    backward([gRe, gIm]) {
      const some = gRe ?? gIm;
      if (some === undefined) return [];
      const weights = mirrorWeights(n, n / 2, n, some.dtype);
      const half = { real: mul(orZeros(gRe, some), weights), imaginary: mul(orZeros(gIm, some), weights) };
      return [irfft(half, n)];
    },
  });
  return { real, imaginary };
}

/**
 * Real rows from the first half of their spectrum, as `rfft` gives it: its inverse. Parts [..., bins] -> [..., length],
 * where bins = floor(length / 2) + 1; default length 2 (bins - 1). The imaginary part of the first number, and of the
 * last where the length is even, is taken as 0.
 *
 * @throws DTYPE_NOT_SUPPORTED, SHAPE_MISMATCH
 */
export function irfft(spectrum: Spectrum, length?: number): Tensor {
  checkPair("irfft", spectrum);
  const { real, imaginary } = spectrum;
  const bins = real.shape[real.rank - 1];
  const n = length ?? Math.max(1, 2 * (bins - 1));
  checkShape(
    Number.isInteger(n) && n >= 1 && Math.floor(n / 2) + 1 === bins,
    "irfft",
    `a length of ${2 * bins - 2 || 1} or ${2 * bins - 1} for ${bins} numbers`,
    String(n),
  );
  const [re, im] = [contiguous(real), contiguous(imaginary)];
  const y = empty([...real.shape.slice(0, -1), n], real.dtype);
  const rows = y.size / n;
  if (rows > 0)
    checkDone("irfft", backend().kernels.irfftF32(re.pointer, im.pointer, y.pointer, rows, n, ...planArguments(n)));
  return record({
    name: "irfft",
    inputs: [re, im],
    outputs: [y],
    backward([g], { needs }) {
      if (g === undefined) return [];
      const weights = mirrorWeights(n, 2 / n, 1 / n, g.dtype);
      const back = rfft(g);
      return [needs(0) ? mul(back.real, weights) : undefined, needs(1) ? mul(back.imaginary, weights) : undefined];
    },
  })[0];
}

/**
 * The spectrum of complex rows, X[k] = sum over j of x[j] exp(-2 pi i j k / n), or with `inverse` the way back, divided by
 * n. Parts [..., n] -> [..., n].
 *
 * @throws DTYPE_NOT_SUPPORTED, SHAPE_MISMATCH
 */
export function fft(spectrum: Spectrum, { inverse = false } = {}): Spectrum {
  checkPair("fft", spectrum);
  const { shape, dtype, rank, size } = spectrum.real;
  const n = shape[rank - 1];
  const [re, im] = [contiguous(spectrum.real), contiguous(spectrum.imaginary)];
  const outputs = [empty(shape, dtype), empty(shape, dtype)];
  const { kernels } = backend();
  if (size > 0) {
    const [yRe, yIm] = outputs.map((output) => output.pointer);
    const way = Number(inverse);
    checkDone("fft", kernels.fftF32(re.pointer, im.pointer, yRe, yIm, size / n, n, way, ...planArguments(n)));
  }
  const [real, imaginary] = record({
    name: "fft",
    inputs: [re, im],
    outputs,
    backward([gRe, gIm]) {
      const some = gRe ?? gIm;
      if (some === undefined) return [];
      // The transform the other way, without its factor.
      const back = fft({ real: orZeros(gRe, some), imaginary: orZeros(gIm, some) }, { inverse: !inverse });
      const factor = inverse ? 1 / n : n;
      return [mul(back.real, factor), mul(back.imaginary, factor)];
    },
  });
  return { real, imaginary };
}
