// Weights of terms in 8 bits.
import type { SparseVector } from "./impact-index.js";

/**
 * Weights as whole numbers from 0 to 255, as uniCOIL's index keeps them: round(w / largest x 256); terms of 0 are left out.
 *
 * @param largest the weight that becomes 256, and is cut there; 5 unless told
 */
export function quantizeWeights({ terms, weights }: SparseVector, largest = 5): SparseVector {
  const codes = weights.map((weight) => Math.min(255, Math.round((weight / largest) * 256)));
  const kept = Array.from(codes.keys()).filter((i) => codes[i] > 0);
  return {
    terms: Uint32Array.from(kept, (i) => terms[i]),
    weights: Float32Array.from(kept, (i) => codes[i]),
  };
}
