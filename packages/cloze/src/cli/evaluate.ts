import type { Command } from "commander";
import { addEvaluateEmbedding } from "./evaluate-embedding.js";
import { addEvaluateRetrieval } from "./evaluate-retrieval.js";
import { addEvaluateSts } from "./evaluate-sts.js";
import { addEvaluateTask } from "./evaluate-task.js";

/** `cloze evaluate` and its sub-commands. */
export function addEvaluate(program: Command): void {
  const evaluate = program
    .command("evaluate")
    .description("score a model: cloze evaluate --model mine --data test.csv, or a sub-command")
    .usage("--model <folder|id> --data <file> [options] | retrieval … | sts … | embedding …");
  for (const add of [addEvaluateTask, addEvaluateRetrieval, addEvaluateSts, addEvaluateEmbedding]) add(evaluate);
}
