// What can go wrong with a request, apart from how an API words it.

/** Why a request is not answered; `http/dialects.ts` gives each its status and body in every API. */
export type RefusalKind =
  /** The body is no JSON, or no UTF-8. */
  | "body"
  /** A field is missing, of the wrong type or out of range. */
  | "validation"
  /** There is no text. */
  | "empty"
  /** The tokenizer cannot write the text. */
  | "tokenizer"
  | "unauthorized"
  | "not-found"
  | "model-not-found"
  | "method"
  | "payload"
  | "media-type"
  /** The model is no model for this. */
  | "backend"
  | "overloaded"
  /** Still loading, or going down. */
  | "unhealthy"
  | "timeout"
  /** The client left. Nobody reads the answer. */
  | "cancelled"
  | "internal";

/** A request that is not answered, and why. */
export class ServingError extends Error {
  readonly kind: RefusalKind;
  /** The field that is wrong. */
  readonly field?: string;
  /** Seconds after which it is worth trying again. */
  readonly retryAfter?: number;

  constructor(
    kind: RefusalKind,
    message: string,
    details: { field?: string; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: details.cause });
    this.name = "ServingError";
    this.kind = kind;
    this.field = details.field;
    this.retryAfter = details.retryAfter;
  }
}
