// `cloze serve` in a process of its own, for tests.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const script = join(fileURLToPath(new URL("..", import.meta.url)), "packages/cloze/dist/cli/main.js");

export interface ServeProcess {
  readonly url: string;
  readonly child: ChildProcess;
  /** What it wrote to standard error so far. */
  errors(): string;
  /** Ends it, and gives its exit status and the milliseconds that took. */
  end(signal?: NodeJS.Signals): Promise<{ status: number | null; milliseconds: number }>;
}

/** What happens when it does not start. */
export interface ServeFailure {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts it and waits until it is ready. Rejects with a {@link ServeFailure}. */
export function startServe(args: readonly string[], environment: Record<string, string> = {}): Promise<ServeProcess> {
  const child = spawn(process.execPath, [script, "serve", "--port", "0", "--json", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment },
  });
  let [stdout, stderr] = ["", ""];
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const exited = new Promise<number | null>((resolve) => child.on("close", resolve));
  return new Promise((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
      if (!stdout.includes("\n")) return;
      const { url } = JSON.parse(stdout) as { url?: string };
      if (url === undefined) return;
      resolve({
        url,
        child,
        errors: () => stderr,
        async end(signal = "SIGTERM") {
          const start = performance.now();
          child.kill(signal);
          return { status: await exited, milliseconds: performance.now() - start };
        },
      });
    });
    void exited.then((status) => reject({ status, stdout, stderr } satisfies ServeFailure));
  });
}
