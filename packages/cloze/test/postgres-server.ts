// A real PostgreSQL server with pgvector for tests: the one that the Python package pgserver carries.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const program = `
import sys, warnings
warnings.simplefilter("ignore")
import pgserver
server = pgserver.get_server(sys.argv[1], cleanup_mode="stop")
print(server.get_uri(), flush=True)
sys.stdin.read()
server.cleanup()
`;

const local = fileURLToPath(new URL("../../../.peers/pgserver/bin/python", import.meta.url));

/** A Python that has pgserver; undefined where there is none. */
export function pythonWithPostgres(): string | undefined {
  const candidates = [process.env.CLOZE_PGSERVER_PYTHON, local, "python3"];
  return candidates.find((python) => {
    if (python === undefined || (python.includes("/") && !existsSync(python))) return false;
    return spawnSync(python, ["-c", "import pgserver"], { stdio: "ignore" }).status === 0;
  });
}

/** What a test prints when it is skipped. */
export const howToGetPostgres =
  "skipped: no PostgreSQL. Get one with: python3 -m venv .peers/pgserver && .peers/pgserver/bin/pip install pgserver";

/** Starts a server with an empty database; `stop` ends it. */
export async function startPostgres(python: string): Promise<{ url: string; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "cloze-pg-"));
  const child: ChildProcess = spawn(python, ["-c", program, folder], { stdio: ["pipe", "pipe", "pipe"] });
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const ended = new Promise<void>((resolve) => {
    child.on("close", () => resolve());
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const first = await lines[Symbol.asyncIterator]().next();
  if (first.done === true) throw new Error(`The server did not start: ${errors.slice(-2000)}`);
  return {
    url: first.value,
    async stop() {
      child.stdin?.end();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
