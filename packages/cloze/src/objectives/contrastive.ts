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
  /** What scores are divided by; default 0.05. */
  temperature?: number;
  /** Also rank queries for each document (not the hard negatives); default true. */
  symmetric?: boolean;
  /** How a query and a document are scored; default "cosine". */
  similarity?: "cosine" | "dot";
}

/**
 * -log softmax(cos(q_i, d_i) / temperature) over all documents of the batch, averaged over the queries.
 *
 * @param queries [pairs, width]; need not be normalised
 * @param documents [pairs + hard negatives, width]; row i answers query i, further rows are wrong for everybody
 * @throws CONTRASTIVE_SHAPE when there are fewer documents than queries
 */
export function contrastiveLoss(queries: Tensor, documents: Tensor, options: ContrastiveOptions = {}): Tensor {
  const { temperature = 0.05, symmetric = true, similarity = "cosine" } = options;
  const pairs = queries.shape[0];
  if (documents.shape[0] < pairs) {
    throw new ClozeError("CONTRASTIVE_SHAPE", "Each query needs its document in the same row", {
      expected: `at least ${pairs} documents`,
      received: String(documents.shape[0]),
    });
  }
  const targets = tensor(Int32Array.from({ length: pairs }, (_, i) => i));
  const [q, d] = similarity === "dot" ? [queries, documents] : [normalizeRows(queries), normalizeRows(documents)];
  const scores = mul(matmul(q, transpose(d)), 1 / temperature); // [pairs, documents]
  const forward = crossEntropy(scores, targets);
  if (!symmetric) return forward;
  const back = documents.shape[0] === pairs ? scores : slice(scores, [{}, { start: 0, end: pairs }]);
  return mul(add(forward, crossEntropy(transpose(back), targets)), 0.5);
}

/** Encodes part `index` of a batch to rows [part, width]; must give the same numbers each time it is called for a part. */
export type PartEncoder = (index: number) => Tensor;

/**
 * The gradient of a loss over many rows in the memory of a few (GradCache, arXiv 2101.06983): embed all parts without a graph,
 * take the loss's gradient for the embeddings, then embed part by part again and push that gradient through. Adds to the
 * parameters' gradients, those that the loss itself has included; returns the loss. Equal to the plain loss to rounding.
 *
 * @param rows all embeddings, part after part: [rows, width] -> a number
 * @param leaves parameters of the loss itself
 */
export function cachedLoss(
  parts: number,
  encode: PartEncoder,
  loss: (rows: Tensor) => Tensor,
  leaves: Iterable<Tensor> = [],
): number {
  return scope(() => {
    const embedded = Array.from({ length: parts }, (_, i) => scope(() => noGrad(() => encode(i))).requireGrad());
    const value = loss(concat(embedded, 0));
    // Once for the embeddings, once for what the loss learns: the leaves' gradients are kept with them.
    const own = [...leaves];
    const gradients = grad([value], [...embedded, ...own]);
    own.forEach((leaf, i) => {
      scope(() => backward(leaf, { gradient: gradients[parts + i] }));
    });
    for (let i = 0; i < parts; i++) {
      scope(() => {
        const rows = encode(i);
        // Parts that nothing learned has a share in (queries that are only counted).
        if (rows.requiresGrad) backward(rows, { gradient: gradients[i] });
      });
    }
    return value.item();
  });
}

/**
 * The contrastive loss in parts, as `cachedLoss` has it.
 *
 * @param parts number of parts; part i of `queries` and of `documents` holds the same rows
 */
export function cachedContrastive(
  parts: number,
  queries: PartEncoder,
  documents: PartEncoder,
  options: ContrastiveOptions = {},
): number {
  let pairs = 0;
  // Rows of queries are counted while they are embedded for the first time.
  const seen = new Set<number>();
  const encode = (index: number): Tensor => {
    const rows = index < parts ? queries(index) : documents(index - parts);
    if (index < parts && !seen.has(index)) pairs += rows.shape[0];
    seen.add(index);
    return rows;
  };
  return cachedLoss(2 * parts, encode, (rows) =>
    contrastiveLoss(
      slice(rows, [{ start: 0, end: pairs }]),
      slice(rows, [{ start: pairs, end: rows.shape[0] }]),
      options,
    ),
  );
}
