// A hub on this machine for tests: model information, file tree in pages, contents behind redirects, ranges, and faults.
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";

export interface FakeRepository {
  readonly files: Readonly<Record<string, Buffer>>;
  /** Files that are stored as LFS; by default those ending in .safetensors or .bin. */
  readonly lfs?: (path: string) => boolean;
  readonly revisions?: readonly string[];
  readonly dataset?: boolean;
}

export interface FakeHub {
  readonly url: string;
  /** "GET /path", with the range and whether a token came. */
  readonly requests: { readonly path: string; readonly range?: string; readonly token?: string }[];
  /** Answers instead of the hub when it returns true. */
  fault?: (path: string, response: ServerResponse, incoming: IncomingMessage) => boolean;
  /** Bytes per write and milliseconds between writes of contents. */
  pace?: { bytes: number; milliseconds: number };
  /** Changes the contents that are sent. */
  corrupt?: (path: string, content: Buffer) => Buffer;
  /** Changes what the tree says of a file. */
  describe?: (entry: Record<string, unknown>) => Record<string, unknown>;
  close(): Promise<void>;
}

export const sha256 = (content: Buffer): string => createHash("sha256").update(content).digest("hex");
export const gitHash = (content: Buffer): string =>
  createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
export const commitOf = (name: string): string => createHash("sha1").update(name).digest("hex");

const listen = (server: ReturnType<typeof createServer>): Promise<string> =>
  new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)),
  );

export async function startFakeHub(repositories: Record<string, FakeRepository>): Promise<FakeHub> {
  const isLfs = ({ lfs = (path) => /\.(safetensors|bin)$/.test(path) }: FakeRepository, path: string) => lfs(path);

  async function send(response: ServerResponse, path: string, content: Buffer, range: string | undefined) {
    const from = range === undefined ? 0 : Number(/^bytes=(\d+)-$/.exec(range)?.[1]);
    if (from > 0) {
      response.statusCode = 206;
      response.setHeader("content-range", `bytes ${from}-${content.length - 1}/${content.length}`);
    }
    const body = (hub.corrupt?.(path, content) ?? content).subarray(from);
    response.setHeader("content-length", body.length);
    const { bytes, milliseconds } = hub.pace ?? { bytes: body.length || 1, milliseconds: 0 };
    for (let at = 0; at < body.length && !response.destroyed; at += bytes) {
      response.write(body.subarray(at, at + bytes));
      if (milliseconds > 0) await new Promise((resolve) => setTimeout(resolve, milliseconds));
    }
    response.end();
  }

  const server = createServer((incoming, response) => {
    const { pathname: path, searchParams } = new URL(incoming.url ?? "", url);
    const { range, authorization: token } = incoming.headers;
    requests.push({ path, range, token });
    const notFound = (code: string) => response.writeHead(404, { "x-error-code": code }).end();
    if (hub.fault?.(path, response, incoming)) return;
    const api = /^\/api\/(models|datasets)\/(.+?)\/(revision|tree)\/([^/?]+)$/.exec(path);
    if (api !== null) {
      const [, kind, name, what, encoded] = api;
      const repository = repositories[name];
      const revision = decodeURIComponent(encoded);
      if (repository === undefined || (repository.dataset === true) !== (kind === "datasets"))
        return notFound("RepoNotFound");
      if (![...(repository.revisions ?? ["main"]), commitOf(name)].includes(revision))
        return notFound("RevisionNotFound");
      response.setHeader("content-type", "application/json");
      if (what === "revision") {
        response.end(JSON.stringify({ _id: "1", id: name, sha: commitOf(name), lastModified: 0 }));
        return;
      }
      const entries = Object.entries(repository.files).map(([file, content]) => {
        const lfs = isLfs(repository, file)
          ? { oid: sha256(content), size: content.length, pointerSize: 130 }
          : undefined;
        const entry = { type: "file", path: file, size: content.length, oid: gitHash(content), lfs };
        return hub.describe?.(entry) ?? entry;
      });
      // Two pages, as large repositories have them.
      const half = Math.ceil(entries.length / 2);
      const second = searchParams.get("cursor") === "2";
      if (!second) response.setHeader("link", `<${url}${path}?recursive=true&cursor=2>; rel="next"`);
      response.end(
        JSON.stringify(
          second ? entries.slice(half) : [{ type: "directory", path: "folder", size: 0 }, ...entries.slice(0, half)],
        ),
      );
      return;
    }
    const content = /^\/(cdn\/)?(?:datasets\/)?(.+?)\/resolve\/[0-9a-f]{40}\/(.+)$/.exec(path);
    const repository = content === null ? undefined : repositories[content[2]];
    const file = decodeURIComponent(content?.[3] ?? "");
    const bytes = repository?.files[file];
    if (content === null || repository === undefined || bytes === undefined) return notFound("EntryNotFound");
    if (content[1] === undefined && isLfs(repository, file)) {
      // Large files live elsewhere; what the hub says about them stands in the redirect.
      const etag = sha256(hub.corrupt?.("x-linked-etag", bytes) ?? bytes);
      response.writeHead(302, {
        location: `${url.replace("127.0.0.1", "localhost")}/cdn${path}`,
        "x-linked-etag": `"${etag}"`,
        "x-linked-size": bytes.length,
      });
      response.end();
      return;
    }
    response.setHeader("etag", `"${gitHash(bytes)}"`);
    void send(response, file, bytes, range);
  });
  const requests: FakeHub["requests"] = [];
  const url = await listen(server);
  const hub: FakeHub = {
    url,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return hub;
}

/** A proxy for plain http and for tunnels, which lists what it was asked for. */
export async function startFakeProxy(): Promise<{ url: string; seen: string[]; close(): Promise<void> }> {
  const seen: string[] = [];
  const server = createServer((incoming, response) => {
    seen.push(`${incoming.method} ${incoming.url}`);
    // A name that only this proxy knows.
    const target = new URL(incoming.url ?? "");
    const onward = request(
      { host: "127.0.0.1", port: target.port, path: target.pathname + target.search, headers: incoming.headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on("error", () => response.destroy());
    incoming.pipe(onward);
  });
  server.on("connect", (incoming, socket) => {
    seen.push(`CONNECT ${incoming.url}`);
    const onward = connect(Number(incoming.url?.split(":")[1]), "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      socket.pipe(onward).pipe(socket);
    });
    onward.on("error", () => socket.destroy());
    socket.on("error", () => onward.destroy());
  });
  const url = await listen(server);
  return {
    url,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
