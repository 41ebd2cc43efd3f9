// What a damaged model gives.
import { ClozeError } from "../../errors.js";

/**
 * Checks that vectors hold numbers; gives them back.
 *
 * @throws EMBEDDER_NOT_FINITE where one holds NaN or an infinity
 */
export function checkFinite(vectors: Float32Array, width: number): Float32Array {
  const at = vectors.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return vectors;
  throw new ClozeError("EMBEDDER_NOT_FINITE", "The embedder gives vectors that hold more than numbers", {
    expected: "finite numbers",
    received: `${vectors[at]} in the vector of text ${Math.floor(at / width) + 1}`,
    remedy: "The model is damaged, or its training diverged: check its weights.",
  });
}
