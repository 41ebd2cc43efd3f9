// In-batch softmax over passages that were not all as likely to be in the batch (arXiv 2002.03932).
import { add, crossEntropy, matmul, mul, type Tensor, tensor, transpose } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import { normalizeRows } from "./contrastive.js";

export interface SampledSoftmaxOptions {
  /** "dot": inner products; "cosine": of rows of length 1. Default "cosine". */
  similarity?: "dot" | "cosine";
  /** What similarities are multiplied by. Default 20 for cosines, 1 / sqrt(width) for inner products. */
  scale?: number;
  /** log Q: of the chance of each passage to be drawn; it is taken from its column, the right one's too. [pairs] */
  logChances?: ArrayLike<number>;
  /** Which passages (column) are no wrong answers for a query (row), though another one is the right one. */
  mask?: (query: number, passage: number) => boolean;
}

/**
 * -log softmax(f(q_i, d_j) - log Q(d_j))_i, averaged over the queries: the batch's other passages stand for all of them.
 *
 * @param queries [pairs, width]
 * @param passages [pairs, width]; row i answers query i
 * @throws CONTRASTIVE_SHAPE
 */
export function sampledSoftmaxLoss(queries: Tensor, passages: Tensor, options: SampledSoftmaxOptions = {}): Tensor {
  const { similarity = "cosine", logChances, mask } = options;
  const [pairs, width] = queries.shape;
  if (passages.shape[0] !== pairs || (logChances !== undefined && logChances.length !== pairs)) {
    throw new ClozeError("CONTRASTIVE_SHAPE", "Each query needs its passage, and each passage its chance", {
      expected: `${pairs} passages`,
      received: `${passages.shape[0]} passages, ${logChances?.length ?? "no"} chances`,
    });
  }
  const scale = options.scale ?? (similarity === "cosine" ? 20 : 1 / Math.sqrt(width));
  const [q, d] = similarity === "cosine" ? [normalizeRows(queries), normalizeRows(passages)] : [queries, passages];
  let scores = mul(matmul(q, transpose(d)), scale); // [pairs, pairs]
  if (logChances !== undefined) {
    scores = add(
      scores,
      tensor(
        Float32Array.from(logChances, (value) => -value),
        [1, pairs],
      ),
    );
  }
  if (mask !== undefined) {
    const hidden = Float32Array.from({ length: pairs * pairs }, (_, at) => {
      const [i, j] = [Math.floor(at / pairs), at % pairs];
      return i !== j && mask(i, j) ? -1e9 : 0;
    });
    scores = add(scores, tensor(hidden, [pairs, pairs]));
  }
  return crossEntropy(scores, tensor(Int32Array.from({ length: pairs }, (_, i) => i)));
}
