// A weight that holds zeros, as the blocks that it has left.
import { backend } from "../backend/index.js";
import { contiguous } from "../ops/movement.js";
import { empty, type Tensor, tensor } from "../tensor.js";

/** Consecutive outputs of a block, at one input. 1: weights without structure. */
export type BlockHeight = 16 | 4 | 1;

/** Blocks that are not all zeros, by groups of outputs. */
export interface SparseBlocks {
  readonly height: BlockHeight;
  /** [groups + 1] */
  readonly starts: Int32Array;
  /** The input of each block. */
  readonly inputs: Int32Array;
  /** [blocks, height] */
  readonly values: Float32Array;
}

/** The blocks of a weight [outputs, inputs] that hold anything but zeros. */
export function findBlocks(weight: Float32Array, outputs: number, inputs: number, height: BlockHeight): SparseBlocks {
  const groups = Math.ceil(outputs / height);
  const starts = new Int32Array(groups + 1);
  const places: number[] = [];
  const values: number[] = [];
  for (let group = 0; group < groups; group++) {
    const rows = Math.min(height, outputs - group * height);
    for (let input = 0; input < inputs; input++) {
      let some = false;
      for (let i = 0; i < rows; i++) some ||= weight[(group * height + i) * inputs + input] !== 0;
      if (!some) continue;
      places.push(input);
      for (let i = 0; i < height; i++) values.push(i < rows ? weight[(group * height + i) * inputs + input] : 0);
    }
    starts[group + 1] = places.length;
  }
  return { height, starts, inputs: Int32Array.from(places), values: Float32Array.from(values) };
}

/** Blocks in the memory of the backend. */
export interface StoredBlocks {
  readonly height: BlockHeight;
  readonly starts: Tensor;
  readonly inputs: Tensor;
  readonly values: Tensor;
}

export const storeBlocks = ({ height, starts, inputs, values }: SparseBlocks): StoredBlocks => ({
  height,
  starts: tensor(starts).keep("weights"),
  inputs: (inputs.length > 0 ? tensor(inputs) : tensor(Int32Array.of(0))).keep("weights"),
  values: (values.length > 0 ? tensor(values) : tensor(Float32Array.of(0))).keep("weights"),
});

export function disposeBlocks({ starts, inputs, values }: StoredBlocks): void {
  for (const part of [starts, inputs, values]) part.dispose();
}

/** Rows that a trial runs with, and how often. */
const trialRows = 192;
const trials = 3;

/** Milliseconds of the fastest of some runs. */
function fastest(run: () => void): number {
  run();
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < trials; i++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

/** What trials of this process have shown, by shape and number of blocks (to a twentieth). */
const measured = new Map<string, BlockHeight | undefined>();

/**
 * The way of storing a weight [outputs, inputs] that ran fastest on this machine: blocks, or undefined for dense. Weights
 * with few zeros are not tried.
 */
export function fastestBlocks(weight: Tensor): SparseBlocks | undefined {
  const [n, k] = weight.shape;
  const values = contiguous(weight).toTypedArray() as Float32Array;
  let zeros = 0;
  for (const value of values) zeros += Number(value === 0);
  if (zeros < 0.5 * values.length) return undefined;
  const candidates = ([16, 4, 1] as const).map((height) => findBlocks(values, n, k, height));
  const share = ({ height, inputs }: SparseBlocks) => Math.round((20 * inputs.length * height) / values.length);
  const key = [backend().isa, backend().threads(), n, k, ...candidates.map(share)].join();
  if (!measured.has(key)) {
    const { kernels } = backend();
    const x = empty([trialRows, k]);
    const y = empty([trialRows, n]);
    kernels.fillF32(x.pointer, x.size, 0.5);
    const packed = empty([Math.ceil(kernels.packedWeightBytes(n, k) / 4)]);
    kernels.packWeightF32(contiguous(weight).pointer, packed.pointer, n, k);
    let best: BlockHeight | undefined;
    let time = fastest(() =>
      kernels.linearPackedF32(x.pointer, packed.pointer, null, y.pointer, trialRows, n, k, k, n, 0, null, null),
    );
    for (const candidate of candidates) {
      const { height, starts, inputs, values: list } = storeBlocks(candidate);
      const taken = fastest(() =>
        kernels.linearSparseF32(
          x.pointer,
          starts.pointer,
          inputs.pointer,
          list.pointer,
          null,
          y.pointer,
          trialRows,
          n,
          k,
          height,
          0,
          null,
        ),
      );
      if (taken < time) {
        time = taken;
        best = height;
      }
      disposeBlocks({ height, starts, inputs, values: list });
    }
    for (const each of [x, y, packed]) each.dispose();
    measured.set(key, best);
  }
  const height = measured.get(key);
  return candidates.find((candidate) => candidate.height === height);
}
