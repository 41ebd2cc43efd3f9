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
  /** Behind the `count` documents that are asked about, up to this position, stand others to draw negatives from. Default `count`. */
  readonly reach?: number;
}

/** Documents that are asked about, with others behind them that are read as negatives only. */
export const withNegatives = (documents: DocumentSource, others: DocumentSource): DocumentSource => {
  const { count, tokens } = documents;
  const at =
    <T>(read: (source: DocumentSource, position: number) => T) =>
    (position: number): T =>
      position < count ? read(documents, position) : read(others, position - count);
  return {
    count,
    tokens,
    reach: count + others.count,
    length: at((source, position) => source.length(position)),
    document: at((source, position) => source.document(position)),
  };
};
