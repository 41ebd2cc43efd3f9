/** What a {@link ClozeError} may add to its message. */
export interface ClozeErrorOptions {
  /** What would have been accepted. */
  expected?: string;
  /** What was found instead. */
  received?: string;
  /** What the reader can do about it. */
  remedy?: string;
  /** The error that led to this one. */
  cause?: unknown;
}

/**
 * An error a person can act on: a stable `code` for programs, and a message that says what was expected, what was
 * found, and what to do.
 *
 * @example
 * throw new ClozeError("TOKENIZER_UNKNOWN_TYPE", "The model type is not known.", {
 *   expected: "WordPiece, BPE, Unigram or WordLevel", received: '"Morse"', remedy: "Check model.type.",
 * });
 */
export class ClozeError extends Error {
  readonly code: string;
  readonly expected?: string;
  readonly received?: string;
  readonly remedy?: string;

  constructor(code: string, message: string, options: ClozeErrorOptions = {}) {
    const parts = [message];
    if (options.expected !== undefined) parts.push(`Expected: ${options.expected}.`);
    if (options.received !== undefined) parts.push(`Got: ${options.received}.`);
    if (options.remedy !== undefined) parts.push(options.remedy);
    super(parts.join(" "), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ClozeError";
    this.code = code;
    this.expected = options.expected;
    this.received = options.received;
    this.remedy = options.remedy;
  }
}
