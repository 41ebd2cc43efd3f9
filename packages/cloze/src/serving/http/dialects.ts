// How each API words what went wrong: status and body.
import type { RefusalKind, ServingError } from "../serving-error.js";

/** An API that the server speaks. Cloze's own routes use text-embeddings-inference's form. */
export type Dialect = "tei" | "openai" | "cohere";

export interface Refusal {
  readonly status: number;
  readonly body: unknown;
}

/** Status and `error_type` in text-embeddings-inference; status, `type` and `code` in OpenAI; status in Cohere. */
const words: Readonly<
  Record<RefusalKind, { tei: [number, string]; openai: [number, string, string | null]; cohere: number }>
> = {
  body: { tei: [400, "Validation"], openai: [400, "invalid_request_error", "invalid_body"], cohere: 400 },
  validation: { tei: [422, "Validation"], openai: [400, "invalid_request_error", null], cohere: 400 },
  empty: { tei: [400, "Empty"], openai: [400, "invalid_request_error", null], cohere: 400 },
  tokenizer: { tei: [422, "Tokenizer"], openai: [400, "invalid_request_error", null], cohere: 400 },
  unauthorized: { tei: [401, "Unauthorized"], openai: [401, "invalid_request_error", "invalid_api_key"], cohere: 401 },
  "not-found": { tei: [404, "NotFound"], openai: [404, "invalid_request_error", "unknown_url"], cohere: 404 },
  "model-not-found": { tei: [404, "NotFound"], openai: [404, "invalid_request_error", "model_not_found"], cohere: 404 },
  method: { tei: [405, "MethodNotAllowed"], openai: [405, "invalid_request_error", "method_not_allowed"], cohere: 405 },
  payload: { tei: [413, "Validation"], openai: [413, "invalid_request_error", "request_too_large"], cohere: 413 },
  "media-type": {
    tei: [415, "Validation"],
    openai: [415, "invalid_request_error", "invalid_content_type"],
    cohere: 415,
  },
  backend: { tei: [424, "Backend"], openai: [400, "invalid_request_error", "model_not_supported"], cohere: 400 },
  overloaded: { tei: [429, "Overloaded"], openai: [429, "rate_limit_error", "rate_limit_exceeded"], cohere: 429 },
  unhealthy: { tei: [503, "Unhealthy"], openai: [503, "server_error", "service_unavailable"], cohere: 503 },
  timeout: { tei: [504, "Timeout"], openai: [504, "server_error", "timeout"], cohere: 504 },
  // What proxies log for clients that left.
  cancelled: { tei: [499, "Cancelled"], openai: [499, "server_error", "cancelled"], cohere: 499 },
  internal: { tei: [500, "Backend"], openai: [500, "server_error", "internal_error"], cohere: 500 },
};

/** The answer to a request that is refused, in the words of its API. */
export function refusalOf({ kind, message, field }: ServingError, dialect: Dialect): Refusal {
  const { tei, openai, cohere } = words[kind];
  if (dialect === "tei") return { status: tei[0], body: { error: message, error_type: tei[1] } };
  if (dialect === "cohere") return { status: cohere, body: { message } };
  return { status: openai[0], body: { error: { message, type: openai[1], param: field ?? null, code: openai[2] } } };
}

/** The shape of a dialect's errors, for its description. */
export const errorSchemas: Readonly<Record<Dialect, object>> = {
  tei: {
    type: "object",
    properties: {
      error: { type: "string" },
      error_type: { type: "string", enum: [...new Set(Object.values(words).map(({ tei }) => tei[1]))] },
    },
    required: ["error", "error_type"],
  },
  cohere: { type: "object", properties: { message: { type: "string" } }, required: ["message"] },
  openai: {
    type: "object",
    properties: {
      error: {
        type: "object",
        properties: {
          message: { type: "string" },
          type: { type: "string" },
          param: { type: ["string", "null"] },
          code: { type: ["string", "null"] },
        },
        required: ["message", "type", "param", "code"],
      },
    },
    required: ["error"],
  },
};

/** The statuses that a dialect refuses requests with. */
export const refusalStatuses = (dialect: Dialect): number[] =>
  [
    ...new Set(
      Object.entries(words).flatMap(([kind, { tei, openai, cohere }]) =>
        kind === "cancelled" ? [] : [dialect === "tei" ? tei[0] : dialect === "openai" ? openai[0] : cohere],
      ),
    ),
  ].sort((a, b) => a - b);
