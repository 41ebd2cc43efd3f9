/** What an error knows besides its message. */
export interface ClozeErrorDetails {
  /** What would have been right. */
  expected?: string;
  /** What came instead. */
  received?: string;
  /** What the reader can do about it. */
  remedy?: string;
  cause?: unknown;
}

/**
 * An error for people: a stable code to program against, what was expected, what came, what to do.
 *
 * @example
 * throw new ClozeError("SHAPE_MISMATCH", "matmul: inner sizes differ", { expected: "4", received: "5", remedy: "transpose b" });
 */
export class ClozeError extends Error {
  readonly code: string;
  readonly expected?: string;
  readonly received?: string;
  readonly remedy?: string;

  constructor(code: string, message: string, details: ClozeErrorDetails = {}) {
    // A message may be a whole sentence; what follows then takes its full stop's place.
    const parts = [
      Object.values(details).some((detail) => typeof detail === "string") ? message.replace(/\.$/, "") : message,
    ];
    if (details.expected !== undefined) parts.push(`expected ${details.expected}`);
    if (details.received !== undefined) parts.push(`received ${details.received}`);
    const text = parts.join("; ");
    // What was received may be a whole sentence too; an ellipsis stays.
    super(details.remedy === undefined ? text : `${text.replace(/(?<!\.)\.$/, "")}. ${details.remedy}`, {
      cause: details.cause,
    });
    this.name = "ClozeError";
    this.code = code;
    this.expected = details.expected;
    this.received = details.received;
    this.remedy = details.remedy;
  }
}
