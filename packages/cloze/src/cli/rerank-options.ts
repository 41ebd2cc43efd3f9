// Options of commands that rerank, and the stage that they describe.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { plannedForward } from "../inference/planned-forward.js";
import type { Reranker } from "../retrieval/pipeline/retriever.js";
import { type CrossEncoder, crossEncoder } from "../retrieval/rerank/cross-encoder.js";
import type { PassageAggregation } from "../retrieval/rerank/passages.js";
import { type DocumentTexts, rerankPairwise, rerankPointwise } from "../retrieval/rerank/rerankers.js";
import { loadTaskModel, taskOf } from "../tasks/index.js";
import { numberBetween, wholeNumber } from "./arguments.js";

/** What {@link withRerankOptions} adds. */
export interface RerankOptions {
  rerankDepth: number;
  rerankMode: "pointwise" | "pairwise";
  passages?: "first" | "max" | "sum" | "top";
  firstStageWeight: number;
  relevant?: string;
  maxLength?: number;
}

/** Adds --rerank-depth, --rerank-mode, --passages, --first-stage-weight, --relevant and --max-length. */
export const withRerankOptions = (command: Command): Command =>
  command
    .option("--rerank-depth <count>", "documents that are put into a new order", wholeNumber(1), 100)
    .addOption(
      new Option("--rerank-mode <mode>", "documents one by one, or every two against each other")
        .choices(["pointwise", "pairwise"])
        .default("pointwise"),
    )
    .addOption(
      new Option(
        "--passages <score>",
        "cut documents into passages; a document scores as: its first, best, all, best four",
      ).choices(["first", "max", "sum", "top"]),
    )
    .option("--first-stage-weight <weight>", "of the scores before, 0 to 1", numberBetween(0, 1), 0)
    .option("--relevant <class>", "the class that means relevant, of a model that classifies")
    .option("--max-length <tokens>", "longest sequence of the reranker (default: as in training)", wholeNumber(8));

/** Opens a cross-encoder; one without task.json has the task that its head says. */
export function openCrossEncoder(
  folder: string,
  { relevant, maxLength }: RerankOptions,
): CrossEncoder & { close(): void } {
  const told = existsSync(join(folder, "task.json"));
  const load = (name?: string) =>
    loadTaskModel(folder, { task: name === undefined ? undefined : taskOf(name), maxLength });
  let loaded: ReturnType<typeof load>;
  try {
    loaded = load(told ? undefined : "ranking");
  } catch (error) {
    if (told || (error as { code?: string }).code !== "HEAD_MISMATCH") throw error;
    loaded = load("classification");
  }
  const planned = plannedForward(loaded.model);
  return {
    ...crossEncoder({ ...loaded, forward: planned.forward }, { relevant }),
    close() {
      planned.close();
      loaded.model.dispose();
    },
  };
}

/** The stage that the options describe. */
export function rerankerOf(model: CrossEncoder, texts: DocumentTexts, options: RerankOptions): Reranker {
  const { rerankDepth: depth, firstStageWeight, passages } = options;
  if (options.rerankMode === "pairwise") return rerankPairwise(model, texts, { depth, firstStageWeight });
  const aggregation: PassageAggregation | undefined = passages === "top" ? { top: 4 } : passages;
  return rerankPointwise(model, texts, { depth, firstStageWeight, aggregation });
}
