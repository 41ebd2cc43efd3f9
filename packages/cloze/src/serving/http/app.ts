// The HTTP side of the server: from a connection to a route and back.
import { isUtf8 } from "node:buffer";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { ClozeError } from "../../errors.js";
import { inSlices } from "../../text/index.js";
import { ServingError } from "../serving-error.js";
import { createAuthorization } from "./authorization.js";
import { refusalOf } from "./dialects.js";
import type { Cost, Exchange, ServerState } from "./exchange.js";
import { type JsonAnswer, jsonSteps } from "./json-steps.js";
import { createPlaces, modelPrefix } from "./places.js";
import { answerWith, isPlain, type Route } from "./route.js";
import { isWritten } from "./vector-json.js";

export interface AppOptions {
  readonly state: ServerState;
  readonly routes: readonly Route[];
  /** Receives a line for each request, without its texts. Default: none. */
  readonly logger?: Logger;
}

/** What is known of a request beside Fastify's own. */
interface Progress {
  readonly startedAt: number;
  readonly controller: AbortController;
  readonly exchange: Exchange;
  readonly route?: Route;
  failure?: ServingError;
}

/** Codes of Fastify by what they mean here. */
const frameworkKinds: Readonly<Record<string, ServingError["kind"]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "payload",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "media-type",
  FST_ERR_NOT_FOUND: "not-found",
};

/** Errors of the toolkit that are about what was sent. */
const inputCodes: ReadonlySet<string> = new Set([
  "TOKEN_OUT_OF_RANGE",
  "SEQUENCE_TOO_LONG",
  "SEQUENCE_TOO_SHORT",
  "SEGMENT_OUT_OF_RANGE",
  "EMPTY_SEQUENCE",
  "NO_MASK",
]);

/** Any error as one that APIs have words for. */
function servingError(error: unknown, payloadLimit: number): ServingError {
  if (error instanceof ServingError) return error;
  const {
    code = "",
    statusCode = 500,
    message = String(error),
  } = error as Partial<Record<"code" | "message", string>> & {
    statusCode?: number;
  };
  const known = frameworkKinds[code];
  if (known === "payload") {
    return new ServingError("payload", `The body is larger than ${payloadLimit} bytes`, { cause: error });
  }
  if (known === "media-type") {
    return new ServingError("media-type", "Send JSON, with the header Content-Type: application/json", {
      cause: error,
    });
  }
  if (known !== undefined) return new ServingError(known, message, { cause: error });
  if (error instanceof ClozeError) {
    if (inputCodes.has(code)) return new ServingError("validation", message, { cause: error });
    if (code.startsWith("TOKENIZER_")) return new ServingError("tokenizer", message, { cause: error });
  }
  if (statusCode >= 400 && statusCode < 500) return new ServingError("body", message, { cause: error });
  // What went wrong inside is for the log.
  return new ServingError("internal", "Something went wrong inside the server", { cause: error });
}

/** What a log may hold of an error: its code and where it was thrown, not its message, which may quote texts. */
function traceOf({ cause }: ServingError) {
  if (!(cause instanceof Error)) return {};
  const { code } = cause as NodeJS.ErrnoException;
  const at = cause.stack
    ?.split("\n")
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 6)
    .map((line) => line.trim());
  return { code: code ?? cause.name, at };
}

const emptyBody = (): ServingError => new ServingError("body", "The body is empty; JSON was expected");

const pathOf = ({ url }: { url: string }): string => url.split("?", 1)[0];

/** JSON of a body. @throws ServingError "body", "media-type" */
function parseBody({ headers }: FastifyRequest, body: Buffer): unknown {
  const coding = (headers["content-encoding"] ?? "").trim().toLowerCase();
  if (coding !== "" && coding !== "identity") {
    throw new ServingError("media-type", "The body is compressed; send JSON as it is, without Content-Encoding");
  }
  if (!isUtf8(body)) throw new ServingError("body", "The body is no valid UTF-8");
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (cause) {
    throw body.length === 0 ? emptyBody() : new ServingError("body", "The body is no valid JSON", { cause });
  }
}

/** Milliseconds in which what a client still sends is read: closed at once, its system may throw the answer away. */
const linger = 500;

/** Refuses on a connection without a request that could be answered, and closes it, whatever the client does. */
function refuseBare(socket: Duplex, status: string, type = "Validation", headers = ""): void {
  const body = JSON.stringify({ error: status.slice(4), error_type: type });
  socket.end(
    `HTTP/1.1 ${status}\r\n${headers}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
  // Node has let go of it: nobody else reads what comes, or minds how long it stays open.
  socket.resume();
  socket.once("finish", () => {
    const timer = setTimeout(() => socket.destroy(), linger);
    socket.once("close", () => clearTimeout(timer));
  });
}

/** HTTP that cannot be read: answered on the bare connection. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") refuseBare(socket, "408 Request Timeout");
  else if (error.code === "HPE_HEADER_OVERFLOW") refuseBare(socket, "431 Request Header Fields Too Large");
  else refuseBare(socket, "400 Bad Request");
}

const never = () => {
  throw new ClozeError("INTERNAL", "A route gave Fastify a schema");
};

const freshCost = (): Cost => ({
  model: "",
  inputs: 0,
  characters: 0,
  tokens: 0,
  dropped: 0,
  tokenizationTime: 0,
  queueTime: 0,
  inferenceTime: 0,
});

const rounded = (milliseconds: number): string => milliseconds.toFixed(2);

/** text-embeddings-inference's headers, and how much was cut off. */
function costHeaders({ cost }: Exchange, totalTime: number): Record<string, string> {
  return {
    "x-compute-type": "cpu",
    "x-compute-time": rounded(totalTime),
    "x-compute-characters": String(cost.characters),
    "x-compute-tokens": String(cost.tokens),
    "x-total-time": rounded(totalTime),
    "x-tokenization-time": rounded(cost.tokenizationTime),
    "x-queue-time": rounded(cost.queueTime),
    "x-inference-time": rounded(cost.inferenceTime),
    ...(cost.dropped > 0 && {
      "x-cloze-truncated-tokens": String(cost.dropped),
      warning: '199 cloze "texts were longer than the model reads, and were cut"',
    }),
  };
}

/**
 * Builds the application; it does not listen yet.
 *
 * @example
 * const app = await createApp({ state, routes });
 * await app.inject({ method: "POST", url: "/embed", payload: { inputs: "a cat" } });
 */
export async function createApp({ state, routes, logger }: AppOptions): Promise<FastifyInstance> {
  const { settings } = state;
  const places = createPlaces(routes);
  const app = fastify({
    bodyLimit: settings.payloadLimit,
    requestTimeout: settings.receiveTimeout,
    http: {
      headersTimeout: settings.receiveTimeout,
      // Looked for below: Node's own refusal says nothing.
      requireHostHeader: false,
      // How often Node looks for clients that took too long.
      connectionsCheckingInterval: Math.min(5000, Math.ceil(settings.receiveTimeout / 2)),
    },
    // Longer than load balancers keep connections open, so that they close them, not we in the middle of a request.
    keepAliveTimeout: 75_000,
    return503OnClosing: false,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: 500 },
    // Bodies are checked by their own schemas: Fastify's compilers are never asked, and loading them takes long.
    schemaController: { compilersFactory: { buildValidator: never, buildSerializer: never } },
    clientErrorHandler: refuseConnection,
    frameworkErrors: (error, request, reply) => {
      const { status, body } = refusalOf(servingError(error, settings.payloadLimit), places.dialectOf(pathOf(request)));
      (reply as FastifyReply).code(status).send(body);
    },
  });
  // What else a client expects than to be told to go on is not heeded, and this is no proxy.
  app.server.on("checkExpectation", (request, response) => app.server.emit("request", request, response));
  app.server.on("connect", (_, socket) => {
    socket.on("error", () => socket.destroy());
    refuseBare(socket, "405 Method Not Allowed", "MethodNotAllowed", "Allow: GET, POST\r\n");
  });
  const authorize = createAuthorization(settings.apiKeys);
  const progressOf = new WeakMap<FastifyRequest, Progress>();

  app.removeAllContentTypeParsers();
  // Read by the handler: Fastify closes the connection where a parser finds something wrong, with what else was sent on it.
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_, body, done) => done(null, body));
  if (settings.corsAllowOrigin.length > 0) {
    const { default: cors } = await import("@fastify/cors");
    const any = settings.corsAllowOrigin.includes("*");
    await app.register(cors, {
      origin: any ? "*" : [...settings.corsAllowOrigin],
      methods: ["GET", "POST"],
      exposedHeaders: ["retry-after", "x-cloze-truncated-tokens"],
      // Otherwise OPTIONS of others than browsers get a refusal that is in no API's form.
      strictPreflight: false,
    });
  }

  const begin = (request: FastifyRequest, reply: FastifyReply, route?: Route): Progress => {
    const controller = new AbortController();
    const { served, "*": rest } = request.params as { served?: string; "*"?: string };
    const exchange: Exchange = {
      state,
      signal: controller.signal,
      cost: freshCost(),
      dialect: route?.dialect ?? places.dialectOf(pathOf(request)),
      pathModel: served,
      query: (request.query ?? {}) as Exchange["query"],
      rest,
    };
    const progress: Progress = { startedAt: performance.now(), controller, exchange, route };
    progressOf.set(request, progress);
    const timer = setTimeout(
      () => controller.abort(new ServingError("timeout", `No answer within ${settings.requestTimeout} ms`)),
      settings.requestTimeout,
    ).unref();
    reply.raw.on("close", () => {
      clearTimeout(timer);
      if (!reply.raw.writableEnded) controller.abort(new ServingError("cancelled", "The client left"));
    });
    return progress;
  };
  const check = ({ route }: Progress, request: FastifyRequest): void => {
    if (route?.open === true) return;
    authorize(request.headers.authorization);
    if (route?.inference !== true) return;
    if (!state.ready) throw new ServingError("unhealthy", "Models are being loaded", { retryAfter: 1 });
    state.scheduler.admit();
  };

  app.setErrorHandler((error, request, reply) => {
    const failure = servingError(error, settings.payloadLimit);
    const progress = progressOf.get(request) ?? begin(request, reply);
    progress.failure = failure;
    const { status, body } = refusalOf(failure, progress.exchange.dialect);
    if (failure.retryAfter !== undefined) reply.header("retry-after", String(failure.retryAfter));
    return reply.code(status).send(body);
  });
  // Before a body is read: what it holds does not matter where nothing is.
  app.addHook("onRequest", async (request, reply) => {
    const { httpVersion, headers } = request.raw;
    if (httpVersion === "1.1" && headers.host === undefined) throw new ServingError("body", "There is no Host header");
    if (!request.is404) return;
    begin(request, reply);
    const path = pathOf(request);
    const others = [...new Set(places.at(path).map(({ method }) => method))].sort();
    if (others.length > 0) {
      reply.header("allow", others.join(", "));
      throw new ServingError("method", `${path.slice(0, 100)} takes ${others.join(" and ")}`);
    }
    throw new ServingError(
      "not-found",
      `Nothing is at ${request.method} ${path.slice(0, 100)}; GET /docs describes what is there`,
    );
  });
  // Asynchronous, so that what Node finds wrong behind a request's headers is refused before the request is answered: an
  // answer that was written at once would be followed by a second one on the same connection.
  app.addHook("onSend", async (_, reply) => {
    // Clients with an open connection learn that the next request must go elsewhere.
    if (state.draining) reply.header("connection", "close");
  });
  app.addHook("onResponse", async (request, reply) => {
    const progress = progressOf.get(request);
    if (progress === undefined) return;
    const { route, exchange, failure, startedAt } = progress;
    const gone = failure?.kind === "cancelled";
    const status = gone ? 499 : reply.statusCode;
    const totalTime = performance.now() - startedAt;
    const { cost } = exchange;
    const path = route?.paths[0] ?? "unknown";
    state.metrics.finished({ route: path, status, inference: route?.inference === true, cost, totalTime });
    if (logger === undefined) return;
    const { model, inputs, tokens, dropped, queueTime, inferenceTime } = cost;
    const line = {
      requestId: request.id,
      method: request.method,
      route: path,
      status,
      milliseconds: Number(rounded(totalTime)),
      ...(model !== "" && { model, inputs, tokens }),
      ...(dropped > 0 && { truncatedTokens: dropped }),
      ...(inferenceTime > 0 && {
        queueMilliseconds: Number(rounded(queueTime)),
        inferenceMilliseconds: Number(rounded(inferenceTime)),
      }),
      ...(failure !== undefined && { refusal: failure.kind, ...traceOf(failure) }),
    };
    if (route?.open === true) logger.debug(line, "answered");
    else if (status >= 500) logger.error(line, "failed");
    else logger.info(line, status < 400 ? "answered" : "refused");
  });

  const mount = (path: string, alternatives: readonly Route[]): void => {
    // The route without a condition is for what the others leave.
    const plain = alternatives.find(({ accepts }) => accepts === undefined) ?? alternatives[0];
    const choose = (body: unknown): Route => alternatives.find(({ accepts }) => accepts?.(body) === true) ?? plain;
    app.route({
      method: plain.method,
      url: path,
      onRequest: async (request, reply) => check(begin(request, reply, plain), request),
      handler: async (request, reply) => {
        const { exchange, startedAt } = progressOf.get(request) as Progress;
        if (plain.body !== undefined && request.body === undefined) throw emptyBody();
        const body = plain.body === undefined ? undefined : parseBody(request, request.body as Buffer);
        const route = choose(body);
        exchange.dialect = route.dialect;
        const answer = await answerWith(route, body, exchange);
        if (isPlain(answer)) return reply.code(answer.status).type(answer.type).send(answer.text);
        if (route.inference === true) reply.headers(costHeaders(exchange, performance.now() - startedAt));
        reply.type("application/json; charset=utf-8");
        return reply.send(isWritten(answer) ? answer.json : await inSlices(jsonSteps(answer as JsonAnswer), exchange));
      },
    });
  };
  const mounts = new Map<string, { path: string; alternatives: Route[] }>();
  for (const route of routes) {
    for (const path of route.paths) {
      const place = mounts.get(`${route.method} ${path}`) ?? { path, alternatives: [] };
      place.alternatives.push(route);
      mounts.set(`${route.method} ${path}`, place);
    }
  }
  for (const { path, alternatives } of mounts.values()) {
    mount(path, alternatives);
    if (alternatives.some(({ open }) => open !== true))
      mount(path === "/" ? modelPrefix : modelPrefix + path, alternatives);
  }
  return app;
}
