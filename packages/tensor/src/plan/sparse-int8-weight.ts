// A weight that holds zeros, as the 8-bit codes that it has left.
import { backend } from "../backend/index.js";
import { contiguous } from "../ops/movement.js";
import { empty, type Tensor, tensor } from "../tensor.js";
import { type BlockHeight, countBlocks, trialRows } from "./sparse-weight.js";
import { fastestWay } from "./trial.js";

/**
 * How codes are put together: `height` consecutive outputs at inputs that are gathered, or (`runs`, height 1) one output at
 * consecutive inputs, which blocks of 1 x 4 and 1 x 16 fill.
 */
export interface StepForm {
  readonly height: BlockHeight;
  readonly runs: boolean;
}

/** Steps by groups of outputs (native/kernels/sparse-int8-gemm.h). */
export interface SparseSteps {
  readonly form: StepForm;
  /** [groups + 1] */
  readonly starts: Int32Array;
  /** The inputs of each step, or the number of the step in the row. */
  readonly inputs: Int32Array;
  /** [steps, height], the codes of a step in 32 bits each. */
  readonly weights: Int32Array;
  /** The scale of each output, then the sum of its codes. [2 x outputs] */
  readonly columns: Float32Array;
}

const roundHalfEven = (x: number): number => {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
};

/** Codes of a weight [outputs, inputs] with a scale for each output, as `packInt8F32` makes them. */
function encode(weight: Float32Array, outputs: number, inputs: number) {
  const codes = new Int8Array(weight.length);
  const columns = new Float32Array(2 * outputs);
  for (let row = 0; row < outputs; row++) {
    let largest = 0;
    for (let i = row * inputs; i < (row + 1) * inputs; i++) largest = Math.max(largest, Math.abs(weight[i]));
    const scale = largest > 0 ? Math.fround(largest / 127) : 1;
    let sum = 0;
    for (let i = row * inputs; i < (row + 1) * inputs; i++) {
      codes[i] = Math.max(-127, Math.min(127, roundHalfEven(Math.fround(weight[i] / scale))));
      sum += codes[i];
    }
    columns[row] = scale;
    columns[outputs + row] = sum;
  }
  return { codes, columns };
}

/** The steps of a weight [outputs, inputs] that hold anything but zeros, for the backend in use. */
export function findSteps(weight: Float32Array, outputs: number, inputs: number, form: StepForm): SparseSteps {
  const { height, runs } = form;
  const { codes, columns } = encode(weight, outputs, inputs);
  const per = backend().kernels.int8StepCodes();
  // Codes of a step in 32 bits: four of 8, two of 16, or one.
  const [bits, mask] = per === 1 ? [32, -1] : [32 / per, 2 ** (32 / per) - 1];
  const groups = Math.ceil(outputs / height);
  const starts = new Int32Array(groups + 1);
  const places: number[] = [];
  const words: number[] = [];
  const codeAt = (row: number, input: number): number =>
    row < outputs && input < inputs ? codes[row * inputs + input] : 0;
  const push = (row: number, step: readonly number[]): void => {
    for (let i = 0; i < height; i++) {
      words.push(step.reduce((word, input, p) => word | ((codeAt(row + i, input) & mask) << (p * bits)), 0));
    }
  };
  for (let group = 0; group < groups; group++) {
    const row = group * height;
    const some = (input: number): boolean => {
      for (let i = 0; i < height; i++) if (codeAt(row + i, input) !== 0) return true;
      return false;
    };
    const kept: number[] = [];
    for (let input = 0; input < inputs; input++) if (some(input)) kept.push(input);
    if (runs) {
      for (const step of new Set(kept.map((input) => Math.floor(input / per)))) {
        places.push(step);
        push(
          row,
          Array.from({ length: per }, (_, p) => step * per + p),
        );
      }
    } else {
      for (let from = 0; from < kept.length; from += per) {
        const step = kept.slice(from, from + per);
        // An input of its own would be counted; the weights of what fills the step up are 0.
        places.push(...Array.from({ length: per }, (_, p) => step[p] ?? step[0]));
        push(row, [...step, ...new Array<number>(per - step.length).fill(inputs)]);
      }
    }
    starts[group + 1] = words.length / height;
  }
  return { form, starts, inputs: Int32Array.from(places), weights: Int32Array.from(words), columns };
}

/** Steps in the memory of the backend. */
export interface StoredSteps {
  readonly starts: Tensor;
  readonly inputs: Tensor;
  readonly weights: Tensor;
  readonly columns: Tensor;
}

export function storeSteps({ starts, inputs, weights, columns }: SparseSteps): StoredSteps {
  const integers = (values: Int32Array): Tensor =>
    (values.length > 0 ? tensor(values) : tensor(Int32Array.of(0))).keep("weights");
  return {
    starts: integers(starts),
    inputs: integers(inputs),
    weights: integers(weights),
    columns: tensor(columns).keep("weights"),
  };
}

export function disposeSteps({ starts, inputs, weights, columns }: StoredSteps): void {
  for (const part of [starts, inputs, weights, columns]) part.dispose();
}

const forms: readonly StepForm[] = [
  { height: 16, runs: false },
  { height: 4, runs: false },
  { height: 1, runs: false },
  { height: 1, runs: true },
];

/** What trials of this process have shown, by shape and share of codes that are left (to a twentieth); -1: all of them. */
const measured = new Map<string, number>();

/**
 * The way of storing the 8-bit codes of a weight [outputs, inputs] that ran fastest on this machine, or undefined for all
 * of them. Weights with few zeros are not tried.
 */
export function fastestSteps(weight: Tensor): SparseSteps | undefined {
  const [n, k] = weight.shape;
  const values = contiguous(weight).toTypedArray() as Float32Array;
  let zeros = 0;
  for (const value of values) zeros += Number(value === 0);
  if (zeros < 0.5 * values.length) return undefined;
  const { isa, kernels, threads } = backend();
  const per = kernels.int8StepCodes();
  const share = ({ height, runs }: StepForm): number => {
    const width = runs ? per : 1;
    return Math.round((20 * countBlocks(values, n, k, height, width) * height * width) / values.length);
  };
  const key = [isa, threads(), n, k, ...forms.map(share)].join();
  if (!measured.has(key)) {
    const x = empty([trialRows, k]);
    const y = empty([trialRows, n]);
    kernels.fillF32(x.pointer, x.size, 0.5);
    const codes = empty([trialRows, kernels.int8RowBytes(k) / 4]);
    const parameters = empty([trialRows, 2]);
    kernels.quantizeRowsF32(x.pointer, codes.pointer, parameters.pointer, trialRows, k);
    const packed = empty([Math.ceil(kernels.packedInt8Bytes(n, k) / 4)]);
    const columns = empty([2, n]);
    kernels.packInt8F32(contiguous(weight).pointer, packed.pointer, columns.pointer, n, k);
    const stored = forms.map((form) => storeSteps(findSteps(values, n, k, form)));
    const [a, rows] = [codes.pointer, parameters.pointer];
    const best = fastestWay([
      {
        way: -1,
        run: () =>
          kernels.linearInt8F32(a, rows, packed.pointer, columns.pointer, null, y.pointer, trialRows, n, k, 0, null),
      },
      ...stored.map((each, way) => ({
        way,
        run: () =>
          kernels.linearSparseInt8F32(
            a,
            rows,
            each.starts.pointer,
            each.inputs.pointer,
            each.weights.pointer,
            each.columns.pointer,
            null,
            y.pointer,
            trialRows,
            n,
            k,
            forms[way].height,
            Number(forms[way].runs),
            0,
            null,
          ),
      })),
    ]);
    stored.forEach(disposeSteps);
    for (const each of [x, y, codes, parameters, packed, columns]) each.dispose();
    measured.set(key, best);
  }
  const best = forms[measured.get(key) ?? -1];
  return best && findSteps(values, n, k, best);
}
