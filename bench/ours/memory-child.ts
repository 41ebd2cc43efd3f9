// `node memory-child.js FILE`: runs our work in this fresh process and prints its peak resident memory. The file holds
// { folder, ids, labels, steps } for training steps, or { folder, ids, runs } for forward passes of a plan.
import { readFileSync } from "node:fs";
import { prepareEncoder } from "./encoder.js";
import { peakOfLife, riseDuring } from "./peak-memory.js";
import { prepareTraining } from "./training.js";

const { folder, ids, labels, steps, runs } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const forward = runs !== undefined;
const job = forward
  ? await prepareEncoder(folder, ids, { planOnly: true })
  : await prepareTraining(folder, ids, labels);
const repeat = async (): Promise<void> => {
  for (let i = 0; i < (runs ?? steps); i++) await job.run();
};
const runBytes = await riseDuring(repeat);
console.log(JSON.stringify({ peakBytes: peakOfLife(), runBytes }));
