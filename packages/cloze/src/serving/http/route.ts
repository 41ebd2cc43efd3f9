// A route says all about itself: where it is, what it takes, what it gives, and how it is answered.
import { z } from "zod";
import { ServingError } from "../serving-error.js";
import type { Dialect } from "./dialects.js";
import type { Exchange } from "./exchange.js";

export interface Route<Body = unknown> {
  readonly method: "GET" | "POST";
  /** The path and its aliases. */
  readonly paths: readonly string[];
  readonly dialect: Dialect;
  /** The heading under which it is described. */
  readonly group: string;
  readonly summary: string;
  readonly body?: z.ZodType<Body>;
  /** A body that a visitor may try. */
  readonly example?: unknown;
  /** Fields that are read from the address. */
  readonly query?: Readonly<Record<string, string>>;
  readonly response: z.ZodType;
  /** The content type of an answer that is no JSON. */
  readonly type?: string;
  /** Runs models: needs a ready server, is refused when it is busy, and is timed. Default false. */
  readonly inference?: boolean;
  /** Answered without a key. Default false. */
  readonly open?: boolean;
  /** Whether this route is for that body, on a path that several share; the one without is for what the others leave. */
  accepts?(body: unknown): boolean;
  /** What becomes the JSON of the answer; `WrittenJson` as it is, a {@link PlainAnswer} for other types and statuses. */
  handle(body: Body, exchange: Exchange): unknown;
}

/** An answer that is no JSON, or no success. */
export interface PlainAnswer {
  readonly plain: true;
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

export const plainAnswer = (text: string, { status = 200, type = "text/plain; charset=utf-8" } = {}): PlainAnswer => ({
  plain: true,
  status,
  type,
  text,
});

export const isPlain = (answer: unknown): answer is PlainAnswer =>
  typeof answer === "object" && answer !== null && "plain" in answer && answer.plain === true;

/** Lets TypeScript infer the type of the body. */
export const defineRoute = <Body>(route: Route<Body>): Route => route as unknown as Route;

/** What is wrong with a body, in a line, and the field that is meant. */
function complaint(error: z.ZodError): ServingError {
  const lines = error.issues.slice(0, 3).map(({ path, message }) => `${z.core.toDotPath(path) || "body"}: ${message}`);
  return new ServingError("validation", lines.join("; "), {
    field: error.issues[0]?.path.slice(0, 1).join(".") || undefined,
  });
}

/**
 * Checks a body and answers it.
 *
 * @throws ServingError "validation", and what the route throws
 */
export async function answerWith(route: Route, body: unknown, exchange: Exchange): Promise<unknown> {
  if (route.body === undefined) return route.handle(undefined, exchange);
  const checked = route.body.safeParse(body);
  if (!checked.success) throw complaint(checked.error);
  return route.handle(checked.data, exchange);
}
