// `node memory-child.js FILE`: runs our training step in this fresh process and prints its peak resident memory.
// The file holds { folder, ids, labels, steps }.
import { readFileSync } from "node:fs";
import { prepareTraining } from "./training.js";

const { folder, ids, labels, steps } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const job = await prepareTraining(folder, ids, labels);
for (let i = 0; i < steps; i++) await job.run();
// maxRSS is in kilobytes.
console.log(JSON.stringify({ peakBytes: process.resourceUsage().maxRSS * 1024 }));
