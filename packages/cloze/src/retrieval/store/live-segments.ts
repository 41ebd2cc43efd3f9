// What searches see of an open index: its segments, and which of their documents can be found.
import { type Filter, matchFilter } from "./filter.js";
import type { Segment } from "./segment.js";

/** Of this moment: it changes as documents come and go. */
export interface LiveSegments {
  readonly segments: readonly Segment[];
  /** Documents that can be found. */
  readonly size: number;
  /** Documents that were replaced or deleted, and are still in a segment. */
  readonly deadDocuments: number;
}

/** A byte for each document of a segment: not 0 where it is not to be found. */
export function skipped({ dead, fields, size }: Segment, filter: Filter | undefined): Uint8Array {
  if (filter === undefined) return dead;
  const matches = matchFilter(filter, fields, size);
  for (let document = 0; document < size; document++)
    matches[document] = (matches[document] & (dead[document] ^ 1)) ^ 1;
  return matches;
}
