// Documents with the structure that a text has before it becomes tokens in a row: sections, paragraphs, sentences, links.

/** A paragraph: its sentences without special tokens, and the documents that its links lead to. */
export interface TokenParagraph {
  readonly sentences: readonly Int32Array[];
  /** Positions of documents in their source. */
  readonly links?: readonly number[];
}

export interface TokenDocument {
  /** Without special tokens; empty where there is none. */
  readonly title: Int32Array;
  /** Paragraphs by section; a text without sections has one. */
  readonly sections: readonly (readonly TokenParagraph[])[];
}

/** Documents by position; they need not be in memory. */
export interface DocumentSource {
  readonly count: number;
  /** Tokens of all documents together. */
  readonly tokens: number;
  /** Tokens of one document, without reading it. */
  length(position: number): number;
  document(position: number): TokenDocument;
  /** Documents that are not trained on, to measure the loss. */
  readonly heldOut?: DocumentSource;
}
