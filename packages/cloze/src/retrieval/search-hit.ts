/** A document that was found. */
export interface SearchHit {
  /** Position of the document in the list that was indexed. */
  readonly index: number;
  readonly score: number;
}
