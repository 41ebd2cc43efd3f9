// `node build/bench/serving/fuzz-main.js --model FOLDER [--index FOLDER] [--requests 100000] [--seed 1]`: the whole fuzz run against
// `cloze serve`, which must answer as before afterwards, keep its memory, and end well. Prints one JSON object.
import { parseArgs } from "node:util";
import { fuzz } from "./fuzz.js";
import { startCloze } from "./process.js";

const { values } = parseArgs({
  options: {
    model: { type: "string", multiple: true, default: [] },
    index: { type: "string", multiple: true, default: [] },
    requests: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
  },
});
const requests = Number(values.requests);
const server = await startCloze([
  ...values.model.flatMap((folder) => ["--model", folder]),
  ...values.index.flatMap((folder) => ["--index", folder]),
  ...["--receive-timeout", "2"],
]);
const ask = async (): Promise<string> => {
  const response = await fetch(`${server.url}/tokenize`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ inputs: "the same as before" }),
  });
  return `${response.status} ${await response.text()}`;
};
const before = await ask();
const memoryBefore = server.memory();
const start = performance.now();
const result = await fuzz({
  port: server.port,
  requests,
  seed: Number(values.seed),
  onProgress(done) {
    if (done % 5000 === 0) console.error(`${done} of ${requests}`);
  },
});
const seconds = (performance.now() - start) / 1000;
const same = server.alive() && (await ask()) === before;
const memoryAfter = server.memory();
const status = server.alive() ? await server.end() : "crashed";
const good = result.failures.length === 0 && same && status === 0;
console.log(
  JSON.stringify({
    good,
    ...result,
    failures: result.failures.slice(0, 20),
    seconds,
    same,
    status,
    memoryBefore,
    memoryAfter,
  }),
);
process.exitCode = good ? 0 : 1;
