// Which connections have a request under way. Node counts one that was opened and never used as busy.
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";

export interface Connections {
  /** Waits until no request has come for some milliseconds, or `atMost` of them have passed. */
  quiet(milliseconds: number, atMost: number): Promise<void>;
  /** Closes those on which no request is under way. */
  closeIdle(): void;
}

/** Watches the connections of a server that does not listen yet. */
export function watchConnections(server: Server): Connections {
  const requests = new Map<Socket, number>();
  let heard = 0;
  const count = (socket: Socket, change: number): void => {
    const before = requests.get(socket);
    if (before !== undefined) requests.set(socket, before + change);
  };
  server.on("connection", (socket: Socket) => {
    requests.set(socket, 0);
    socket.on("close", () => requests.delete(socket));
  });
  server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
    count(socket, 1);
    heard++;
    response.on("close", () => count(socket, -1));
  });
  return {
    async quiet(milliseconds, atMost) {
      const end = performance.now() + atMost;
      let before: number;
      do {
        before = heard;
        await wait(Math.min(milliseconds, end - performance.now()));
        // What came while this process could not run is read after its timers: a connection of which a request waits to be
        // read is not idle.
        await turn();
        await turn();
      } while (heard > before && performance.now() < end);
    },
    closeIdle() {
      for (const [socket, under] of requests) if (under === 0) socket.destroy();
    },
  };
}
