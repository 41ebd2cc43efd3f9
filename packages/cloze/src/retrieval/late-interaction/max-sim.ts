import { matmul, segmentMax, segmentSum, type Tensor, tensor, transpose } from "@cloze/tensor";

/**
 * MaxSim of every query with every document: for each vector of a query the largest inner product with any of the document's,
 * summed.
 *
 * @param queries [query tokens, width]
 * @param documents [document tokens, width]
 * @returns [queries, documents]
 */
export function maxSimMatrix(
  queries: Tensor,
  queryOffsets: Int32Array,
  documents: Tensor,
  documentOffsets: Int32Array,
): Tensor {
  const products = matmul(documents, transpose(queries)); // [document tokens, query tokens]
  const best = segmentMax(products, tensor(documentOffsets)); // [documents, query tokens]
  return segmentSum(transpose(best), tensor(queryOffsets));
}
