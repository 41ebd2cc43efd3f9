// A folder that is searched.

/** A document that was found. */
export interface FoundDocument {
  readonly id: string;
  readonly score: number;
  readonly text?: string;
  /** Other fields of the document. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

export interface ServedSearch {
  readonly query: string;
  /** Documents at most. */
  readonly top: number;
  /** Fields and what they must be. */
  readonly filter?: unknown;
  readonly signal: AbortSignal;
}

/** An index that is served. */
export interface ServedIndex {
  readonly name: string;
  /** Documents in it. */
  readonly size: number;
  search(search: ServedSearch): Promise<readonly FoundDocument[]>;
  close(): void;
}
