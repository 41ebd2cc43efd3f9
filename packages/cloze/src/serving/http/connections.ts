// Which connections have a request under way. Node counts one that was opened and never used as busy.
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

export interface Connections {
  /** Closes those on which no request is under way. */
  closeIdle(): void;
}

/** Watches the connections of a server that does not listen yet. */
export function watchConnections(server: Server): Connections {
  const requests = new Map<Socket, number>();
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
    response.on("close", () => count(socket, -1));
  });
  return {
    closeIdle() {
      for (const [socket, under] of requests) if (under === 0) socket.destroy();
    },
  };
}
