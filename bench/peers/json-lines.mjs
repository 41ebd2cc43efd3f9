// What peers in Node share: where they are installed, and requests and replies as lines of JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The folder of all peers. */
export const peers = join(dirname(fileURLToPath(import.meta.url)), "..", "..", ".peers");

/** Resolves packages among the peers. */
export const require = createRequire(join(peers, "node", "package.json"));

export const versionOf = (name) =>
  JSON.parse(readFileSync(join(peers, "node", "node_modules", name, "package.json"), "utf8")).version;

/** Milliseconds of each of some runs. */
export async function timed(repeat, run) {
  const milliseconds = [];
  for (let i = 0; i < repeat; i++) {
    const start = performance.now();
    await run();
    milliseconds.push(performance.now() - start);
  }
  return milliseconds;
}

/** Answers each line of standard input, `{"cmd": …}`, by its handler, until the input ends. */
export async function serveLines(handlers) {
  for await (const line of createInterface({ input: process.stdin })) {
    let reply;
    try {
      const request = JSON.parse(line);
      reply = { ok: true, ...(await handlers[request.cmd](request)) };
    } catch (error) {
      reply = { ok: false, error: error.message };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}
