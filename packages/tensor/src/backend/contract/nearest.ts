import type { Pointer } from "../contract.js";

/** How the rows of `nearestRows` lie, by number. */
export const rowKindCode = { float32: 0, int8: 1, binary: 2 } as const;

export interface NearestKernels {
  /**
   * The k largest inner products of each query with rows; see native/kernels/nearest.h. `scores` and `ids` [queries, k]
   * hold what was found so far, and receive it.
   */
  nearestRows(
    kind: number,
    rows: Pointer,
    rowBytes: number,
    skip: Pointer,
    query: Pointer,
    scores: Pointer,
    ids: Pointer,
    count: number,
    first: number,
    queries: number,
    width: number,
    k: number,
  ): void;
}
