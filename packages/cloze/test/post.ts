// Requests to a server that is not on the network.
import type { FastifyInstance } from "fastify";

/** What is answered to a body of JSON. */
export async function post({ app }: { readonly app: FastifyInstance }, url: string, payload: object) {
  const response = await app.inject({ method: "POST", url, payload });
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what each test looks at.
  return { status: response.statusCode, headers: response.headers, body: response.json() as any };
}
