// `cloze serve` as a process of its own, for measurements.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../harness.js";

export interface Served {
  readonly url: string;
  readonly port: number;
  /** Resident bytes now; undefined where the system does not say. */
  memory(): number | undefined;
  /** Still running. */
  alive(): boolean;
  /** Ends it by SIGTERM. @returns its exit status */
  end(): Promise<number | null>;
  /** Standard error so far. */
  errors(): string;
}

/** Starts a server program that prints a line of JSON with its `url` when it is ready. */
export function startServer(command: string, args: readonly string[], env = process.env): Promise<Served> {
  const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  let running = true;
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr = (stderr + text).slice(-10_000);
  });
  const exited = new Promise<number | null>((resolve) =>
    child.on("close", (status) => {
      running = false;
      resolve(status);
    }),
  );
  process.on("exit", () => child.kill("SIGKILL"));
  return new Promise((resolve, reject) => {
    void exited.then((status) => reject(new Error(`The server ended with status ${status}: ${stdout}${stderr}`)));
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
      if (!stdout.includes("\n")) return;
      const { url } = JSON.parse(stdout) as { url?: string };
      if (url === undefined) return;
      resolve({
        url,
        port: Number(new URL(url).port),
        memory() {
          try {
            const [, pages] = readFileSync(`/proc/${child.pid}/statm`, "utf8").split(" ");
            return Number(pages) * 4096;
          } catch {
            return undefined;
          }
        },
        alive: () => running,
        end() {
          child.kill("SIGTERM");
          return exited;
        },
        errors: () => stderr,
      });
    });
  });
}

/** Starts `cloze serve`. */
export const startCloze = (args: readonly string[]): Promise<Served> =>
  startServer(process.execPath, [
    join(root, "packages/cloze/dist/cli/main.js"),
    ...["serve", "--port", "0", "--json", "--log-level", "error"],
    ...args,
  ]);
