// Weights in the order in which the matrix kernels read them, kept beside the weights while a model only infers.
import { backend } from "../backend/index.js";
import type { Storage } from "../memory.js";
import { empty, type Tensor } from "../tensor.js";

interface Packed {
  readonly tensor: Tensor;
  readonly version: number;
}

const packedForms = new WeakMap<Storage, Packed>();

/**
 * Packs weight matrices [out, in] once, so that `linear` does not do it at each call: for inference with many calls.
 * Takes as much memory again. A weight that is written afterwards is used as it is. Returns what frees the copies.
 *
 * @example
 * const release = packWeights(model.parameters.values());
 */
export function packWeights(weights: Iterable<Tensor>): () => void {
  const owned: Storage[] = [];
  for (const weight of weights) {
    const { storage } = weight;
    if (weight.rank !== 2 || weight.dtype !== "float32" || !weight.contiguous || weight.offset !== 0) continue;
    if (packedForms.has(storage)) continue;
    const [n, k] = weight.shape;
    const { kernels } = backend();
    const tensor = empty([Math.ceil(kernels.packedWeightBytes(n, k) / 4)]).keep("weights");
    if (weight.size > 0) kernels.packWeightF32(weight.pointer, tensor.pointer, n, k);
    packedForms.set(storage, { tensor, version: storage.version });
    owned.push(storage);
  }
  return () => {
    for (const storage of owned) {
      packedForms.get(storage)?.tensor.dispose();
      packedForms.delete(storage);
    }
  };
}

/** The packed form of a weight, where there is one that is still true. */
export function packedForm(weight: Tensor): Tensor | undefined {
  const packed = packedForms.get(weight.storage);
  if (packed === undefined || weight.offset !== 0) return undefined;
  return packed.version === weight.storage.version ? packed.tensor : undefined;
}
