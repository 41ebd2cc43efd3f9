/** The tokens of one piece of text. Ranges are UTF-16 units of the piece. */
export interface PieceTokens {
  readonly ids: number[];
  readonly starts: number[];
  readonly ends: number[];
  /** Where a token reads differently from its id's entry in the vocabulary: by place. */
  surfaces: Map<number, string> | null;
}

/** An empty {@link PieceTokens}. */
export function emptyTokens(): PieceTokens {
  return { ids: [], starts: [], ends: [], surfaces: null };
}

/** A vocabulary, and the rule by which it cuts a piece of text into tokens. */
export interface Model {
  /** Cuts a piece that is not empty. */
  tokenize(piece: string): PieceTokens;
  tokenToId(token: string): number | undefined;
  idToToken(id: number): string | undefined;
  /** How many tokens the vocabulary has. */
  readonly size: number;
  /** Every token with its id. */
  entries(): Iterable<[string, number]>;
}
