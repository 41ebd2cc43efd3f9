// A weight that holds zeros, as the blocks that it has left.
import { backend } from "../backend/index.js";
import { contiguous } from "../ops/movement.js";
import { empty, type Tensor, tensor } from "../tensor.js";
import { fastestWay } from "./trial.js";

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

/** How many blocks of a weight [outputs, inputs] hold anything but zeros, of `height` outputs at `width` inputs. */
export function countBlocks(weight: Float32Array, outputs: number, inputs: number, height: number, width = 1): number {
  const across = Math.ceil(inputs / width);
  const filled = new Uint8Array(across);
  let count = 0;
  for (let row = 0; row < outputs; row++) {
    if (row % height === 0) filled.fill(0);
    for (let input = 0, at = row * inputs; input < inputs; input++, at++) {
      if (weight[at] === 0) continue;
      const block = width === 1 ? input : Math.floor(input / width);
      count += 1 - filled[block];
      filled[block] = 1;
    }
  }
  return count;
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

/** Rows that a trial runs with. */
export const trialRows = 384;

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
  const heights = [16, 4, 1] as const;
  const share = (height: BlockHeight) => Math.round((20 * countBlocks(values, n, k, height) * height) / values.length);
  const key = [backend().isa, backend().threads(), n, k, ...heights.map(share)].join();
  if (!measured.has(key)) {
    const { kernels } = backend();
    const x = empty([trialRows, k]);
    const y = empty([trialRows, n]);
    kernels.fillF32(x.pointer, x.size, 0.5);
    const packed = empty([Math.ceil(kernels.packedWeightBytes(n, k) / 4)]);
    kernels.packWeightF32(contiguous(weight).pointer, packed.pointer, n, k);
    const stored = heights.map((height) => storeBlocks(findBlocks(values, n, k, height)));
    const blocked = stored.map(({ height, starts, inputs, values: list }) => ({
      way: height,
      run: () =>
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
    }));
    const dense = {
      way: undefined,
      run: () =>
        kernels.linearPackedF32(x.pointer, packed.pointer, null, y.pointer, trialRows, n, k, k, n, 0, null, null),
    };
    const best = fastestWay<BlockHeight | undefined>([dense, ...blocked]);
    stored.forEach(disposeBlocks);
    for (const each of [x, y, packed]) each.dispose();
    measured.set(key, best);
  }
  const height = measured.get(key);
  return height === undefined ? undefined : findBlocks(values, n, k, height);
}
