// `node embedding-memory-child.js FILE`: trains a few steps in this fresh process and prints its peak resident memory.
// The file holds { batch, steps }.
import { readFileSync } from "node:fs";
import { realPairs, trainingSteps } from "./embedding.js";

const { batch, steps } = JSON.parse(readFileSync(process.argv[2], "utf8"));
await trainingSteps(realPairs(), batch, steps);
// maxRSS is in kilobytes.
console.log(JSON.stringify({ peakBytes: process.resourceUsage().maxRSS * 1024 }));
