// In-batch contrastive learning (multiple negatives ranking, InfoNCE): the other rows of a batch are the wrong answers.
import {
  add,
  backward,
  concat,
  crossEntropy,
  div,
  grad,
  matmul,
  mul,
  noGrad,
  scope,
  slice,
  sqrt,
  sum,
  type Tensor,
  tensor,
  transpose,
} from "@cloze/tensor";
import { ClozeError } from "../errors.js";

/** Scales each row to length 1. x: [rows, width]. */
export function normalizeRows(x: Tensor): Tensor {
  const lengths = sqrt(add(sum(mul(x, x), [1], true), 1e-12)); // [rows, 1]
  return div(x, lengths);
}

export interface ContrastiveOptions {
  /** What cosines are divided by; default 0.05. */
  temperature?: number;
  /** Also rank queries for each document (not the hard negatives); default true. */
  symmetric?: boolean;
}

/**
 * -log softmax(cos(q_i, d_i) / temperature) over all documents of the batch, averaged over the queries.
 *
 * @param queries [pairs, width]; need not be normalised
 * @param documents [pairs + hard negatives, width]; row i answers query i, further rows are wrong for everybody
 * @throws CONTRASTIVE_SHAPE when there are fewer documents than queries
 */
export function contrastiveLoss(queries: Tensor, documents: Tensor, options: ContrastiveOptions = {}): Tensor {
  const { temperature = 0.05, symmetric = true } = options;
  const pairs = queries.shape[0];
  if (documents.shape[0] < pairs) {
    throw new ClozeError("CONTRASTIVE_SHAPE", "Each query needs its document in the same row", {
      expected: `at least ${pairs} documents`,
      received: String(documents.shape[0]),
    });
  }
  const targets = tensor(Int32Array.from({ length: pairs }, (_, i) => i));
  const q = normalizeRows(queries);
  const d = normalizeRows(documents);
  const scores = mul(matmul(q, transpose(d)), 1 / temperature); // [pairs, documents]
  const forward = crossEntropy(scores, targets);
  if (!symmetric) return forward;
  const back = documents.shape[0] === pairs ? scores : slice(scores, [{}, { start: 0, end: pairs }]);
  return mul(add(forward, crossEntropy(transpose(back), targets)), 0.5);
}

/** Encodes part `index` of a batch to rows [part, width]; must give the same numbers each time it is called for a part. */
export type PartEncoder = (index: number) => Tensor;

/**
 * The gradient of a large contrastive batch in the memory of a small one (GradCache, arXiv 2101.06983): embed all parts
 * without a graph, take the loss's gradient for the embeddings, then embed part by part again and push that gradient
 * through. Adds to the parameters' gradients; returns the loss. Equal to the plain loss to rounding.
 *
 * @param parts number of parts; part i of `queries` and of `documents` holds the same rows
 */
export function cachedContrastive(
  parts: number,
  queries: PartEncoder,
  documents: PartEncoder,
  options: ContrastiveOptions = {},
): number {
  return scope(() => {
    const sides = [queries, documents].map((encode) =>
      Array.from({ length: parts }, (_, i) => scope(() => noGrad(() => encode(i))).requireGrad()),
    );
    const loss = contrastiveLoss(concat(sides[0], 0), concat(sides[1], 0), options);
    const gradients = grad([loss], [...sides[0], ...sides[1]]);
    [queries, documents].forEach((encode, side) => {
      for (let i = 0; i < parts; i++) {
        scope(() => backward(encode(i), { gradient: gradients[side * parts + i] }));
      }
    });
    return loss.item();
  });
}
