// Runs a script in a headless Chromium against a plain file server, and waits for what the script reports.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";

/** The name of a Chromium on this machine, if there is one. */
export const chromium = ["chromium", "chromium-browser", "google-chrome"].find(
  (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0,
);

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const part of request.setEncoding("utf8")) text += part;
  return text;
}

/** Ends the browser with all of its helpers, which outlive it and go on writing into the profile. */
function stop(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL");
  }
}

/** Removes the profile, if the system lets it: a folder left in the temporary folder is no failure of what was tested. */
function removeProfile(profile: string): void {
  try {
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  } catch (error) {
    console.warn(`Left behind: ${profile} (${String(error)}).`);
  }
}

export interface PageRun {
  /** Folders that are served, by the first segment of their addresses. */
  readonly folders: Readonly<Record<string, string>>;
  /** A module. It may call `report(value)`, once; an error that nobody catches is reported as `{ error }`. */
  readonly script: string;
  /** Send the headers that make a page cross-origin isolated, so that it may share memory with workers. */
  readonly isolated?: boolean;
  /** Default 60 s. */
  readonly timeout?: number;
}

/** Opens a page with the script, and returns what it reported and which addresses were asked for. */
export async function runInChromium({ folders, script, isolated = false, timeout = 60_000 }: PageRun) {
  const asked: string[] = [];
  let [report, fail]: [(text: string) => void, (error: Error) => void] = [() => {}, () => {}];
  const reported = new Promise<string>((resolve, reject) => {
    [report, fail] = [resolve, reject];
  });
  const page = `<!doctype html><meta charset="utf-8"><title>test</title><script>
    const report = (value) => fetch("/report", { method: "POST", body: JSON.stringify(value) });
    addEventListener("error", ({ message }) => report({ error: message }));
    addEventListener("unhandledrejection", ({ reason }) => report({ error: String(reason?.stack ?? reason) }));
  </script><script type="module">${script}</script>`;
  const server = createServer(async (request, response) => {
    const [, first, ...rest] = new URL(request.url ?? "/", "http://localhost").pathname.split("/");
    const headers = isolated
      ? { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" }
      : {};
    if (first === "report") {
      report(await bodyOf(request));
      return response.writeHead(204, headers).end();
    }
    if (first === "") return response.writeHead(200, { ...headers, "content-type": types[".html"] }).end(page);
    asked.push([first, ...rest].join("/"));
    const name = normalize(rest.join("/") || "index.html");
    const path = folders[first] === undefined || name.startsWith("..") ? "" : join(folders[first], name);
    if (!existsSync(path) || !statSync(path).isFile()) return response.writeHead(404, headers).end();
    const about = {
      "content-type": types[extname(path)] ?? "application/octet-stream",
      "content-length": statSync(path).size,
    };
    response.writeHead(200, { ...headers, ...about });
    return createReadStream(path).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const profile = mkdtempSync(join(tmpdir(), "cloze-chromium-"));
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", `--user-data-dir=${profile}`];
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const child: ChildProcess = spawn(chromium as string, [...flags, url], { stdio: "ignore", detached: true });
  const ended = new Promise<void>((resolve) => child.on("exit", () => resolve()));
  child.on("error", fail);
  const timer = setTimeout(() => fail(new Error(`Nothing was reported; asked for: ${asked.join(", ")}`)), timeout);
  try {
    const text = await reported;
    return { result: JSON.parse(text), asked };
  } finally {
    clearTimeout(timer);
    stop(child);
    await ended;
    server.closeAllConnections();
    server.close();
    removeProfile(profile);
  }
}
