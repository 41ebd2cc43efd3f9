// `node build/bench/serving/start-up.js --model FOLDER [--runs 7]`: how long `cloze serve` takes from its process's first moment
// until it is ready. Prints one JSON object with milliseconds.
import { parseArgs } from "node:util";
import { startCloze } from "./process.js";

const { values } = parseArgs({ options: { model: { type: "string" }, runs: { type: "string", default: "7" } } });
const runs = Number(values.runs);
if (values.model === undefined || !(Number.isInteger(runs) && runs > 0)) {
  console.error("Usage: node build/bench/serving/start-up.js --model FOLDER [--runs 7]");
  process.exit(2);
}
const taken: number[] = [];
for (let run = 0; run < runs; run++) {
  const start = performance.now();
  const server = await startCloze(["--model", values.model]);
  while (!(await fetch(`${server.url}/readyz`)).ok) await new Promise((resolve) => setTimeout(resolve, 2));
  taken.push(Math.round(performance.now() - start));
  await server.end();
}
taken.sort((a, b) => a - b);
console.log(
  JSON.stringify({ node: process.version, median: taken[runs >> 1], least: taken[0], most: taken[runs - 1] }),
);
