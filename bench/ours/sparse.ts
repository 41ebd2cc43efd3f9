// One sparse product of the suite `inference`, and the dense one of the same shape.
import { type BlockHeight, backend, disposeBlocks, empty, findBlocks, storeBlocks, tensor } from "@cloze/tensor";
import { randomFloats, randomSource } from "../harness.js";

/** [rows, k] times a weight [n, k] in which that share of the blocks (`height` outputs at one input) is zero. */
export function sparseProduct(rows: number, n: number, k: number, height: BlockHeight, sparsity: number) {
  const { kernels } = backend();
  const next = randomSource(n + k + height);
  const kept = Array.from({ length: Math.ceil(n / height) * k }, () => next() >= sparsity);
  const weight = randomFloats(n * k, 1).map((value, i) => (kept[Math.floor(i / k / height) * k + (i % k)] ? value : 0));
  const blocks = storeBlocks(findBlocks(weight, n, k, height));
  const x = tensor(randomFloats(rows * k, 2), [rows, k]).keep();
  const y = empty([rows, n]).keep();
  const whole = tensor(weight, [n, k]).keep();
  const packed = empty([Math.ceil(kernels.packedWeightBytes(n, k) / 4)]).keep();
  kernels.packWeightF32(whole.pointer, packed.pointer, n, k);
  return {
    sparse: () =>
      kernels.linearSparseF32(
        x.pointer,
        blocks.starts.pointer,
        blocks.inputs.pointer,
        blocks.values.pointer,
        null,
        y.pointer,
        rows,
        n,
        k,
        height,
        0,
        null,
      ),
    dense: () => kernels.linearPackedF32(x.pointer, packed.pointer, null, y.pointer, rows, n, k, k, n, 0, null, null),
    close() {
      disposeBlocks(blocks);
      for (const each of [x, y, whole, packed]) each.dispose();
    },
  };
}
