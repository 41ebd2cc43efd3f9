// Taking a port.
import type { FastifyInstance } from "fastify";
import { ClozeError } from "../errors.js";

/** Why a port cannot be had, in words of what to do. */
const remedies: Readonly<Record<string, string>> = {
  EADDRINUSE: "Another program listens there; end it, or choose another port with --port (0: any free one).",
  EACCES: "Ports below 1024 are for root; choose another with --port.",
  ENOTFOUND: "Give an address of this machine with --host, such as 127.0.0.1 or 0.0.0.0.",
  EADDRNOTAVAIL: "Give an address of this machine with --host, such as 127.0.0.1 or 0.0.0.0.",
};

/**
 * Listens, and gives the address.
 *
 * @throws SERVER_LISTEN
 */
export async function listen(app: FastifyInstance, { host, port }: { host: string; port: number }): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (cause) {
    const { code = "", message = String(cause) } = cause as NodeJS.ErrnoException;
    throw new ClozeError("SERVER_LISTEN", `Nothing can be served at ${host}, port ${port}`, {
      received: message,
      remedy: remedies[code] ?? "Choose another port with --port.",
      cause,
    });
  }
}
