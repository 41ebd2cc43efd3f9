// A small local server for the search page.
import { searchPage } from "@cloze/workbench";
import fastify, { type FastifyInstance } from "fastify";
import { ClozeError } from "../errors.js";

/** What the page shows about itself. */
export interface SearchAbout {
  readonly title: string;
  readonly description: string;
  readonly placeholder: string;
  readonly examples: readonly string[];
  /** A table, its head first. */
  readonly evaluation: readonly (readonly string[])[];
}

export interface ShownHit {
  readonly title: string;
  readonly note: string;
  readonly text: string;
  readonly score: number;
}

export interface SearchServerOptions {
  readonly about: SearchAbout;
  /** Number of documents that are searched. */
  readonly documents: number;
  /** The best answers to a query, best first. */
  readonly search: (query: string, count: number) => readonly ShownHit[];
  /** Default 8017; when it is taken, any free one. 0: any. */
  readonly port?: number;
}

/** Longest query that is answered, in characters. */
const longestQuery = 2000;

/**
 * Serves the page on this machine only (127.0.0.1). Returns the server and its address.
 *
 * @example
 * const { url, server } = await serveSearch({ about, documents: 3, search: () => [] });
 * await server.close();
 */
export async function serveSearch({
  about,
  documents,
  search,
  port = 8017,
}: SearchServerOptions): Promise<{ url: string; server: FastifyInstance }> {
  const create = (): FastifyInstance => {
    // Connections that a browser keeps open do not hold the server up when it closes.
    const server = fastify({ forceCloseConnections: true });
    server.setNotFoundHandler((request, reply) =>
      reply.code(404).send({ error: { code: "NOT_FOUND", message: `Nothing is at ${request.method} ${request.url}` } }),
    );
    server.setErrorHandler<Error & { statusCode?: number }>(({ statusCode = 500, message }, _, reply) =>
      reply.code(statusCode).send({ error: { code: statusCode < 500 ? "BAD_REQUEST" : "INTERNAL", message } }),
    );
    server.get("/", (_, reply) => reply.type("text/html; charset=utf-8").send(searchPage()));
    server.get("/api/about", () => about);
    server.get<{ Querystring: { q?: string; count?: string } }>("/api/search", (request, reply) => {
      const { q = "", count = "20" } = request.query;
      const wanted = Number(count);
      if (typeof q !== "string" || q.length > longestQuery || !Number.isInteger(wanted) || wanted < 1 || wanted > 100) {
        const message = `A query has at most ${longestQuery} characters, and count lies between 1 and 100.`;
        return reply.code(400).send({ error: { code: "BAD_QUERY", message } });
      }
      const start = performance.now();
      const hits = q.trim() === "" ? [] : search(q, wanted);
      return { query: q, documents, milliseconds: performance.now() - start, hits };
    });
    return server;
  };
  const listen = async (wanted: number) => {
    const server = create();
    const url = await server.listen({ port: wanted, host: "127.0.0.1" });
    return { url, server };
  };
  try {
    return await listen(port);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EADDRINUSE" && port !== 0) return listen(0);
    throw new ClozeError("SERVER_LISTEN", `The page cannot be served on port ${port}`, {
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "Choose another with --port.",
      cause,
    });
  }
}
