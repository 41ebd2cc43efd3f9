// Options of commands that rerank, and the stage that they describe.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { plannedForward } from "../inference/planned-forward.js";
import { Bm25Index } from "../retrieval/bm25.js";
import type { Reranker } from "../retrieval/pipeline/retriever.js";
import { type CrossEncoder, crossEncoder } from "../retrieval/rerank/cross-encoder.js";
import { bm25BlockScorer, keyBlockEncoder } from "../retrieval/rerank/key-blocks.js";
import type { PassageAggregation } from "../retrieval/rerank/passages.js";
import { rerankBertQe } from "../retrieval/rerank/rerank-bert-qe.js";
import { type DocumentTexts, rerankPairwise, rerankPointwise } from "../retrieval/rerank/rerankers.js";
import { loadTaskModel, taskOf } from "../tasks/index.js";
import { numberBetween, wholeNumber } from "./arguments.js";

/** What {@link withRerankOptions} adds. */
export interface RerankOptions {
  rerankDepth: number;
  rerankMode: "pointwise" | "pairwise" | "bert-qe";
  passages?: "first" | "max" | "sum" | "top" | "key-blocks";
  firstStageWeight: number;
  relevant?: string;
  maxLength?: number;
}

/** Adds --rerank-depth, --rerank-mode, --passages, --first-stage-weight, --relevant and --max-length. */
export const withRerankOptions = (command: Command): Command =>
  command
    .option("--rerank-depth <count>", "documents that are put into a new order", wholeNumber(1), 100)
    .addOption(
      new Option(
        "--rerank-mode <mode>",
        "documents one by one, every two against each other, or also by what the first ones say (bert-qe)",
      )
        .choices(["pointwise", "pairwise", "bert-qe"])
        .default("pointwise"),
    )
    .addOption(
      new Option(
        "--passages <score>",
        "cut documents into passages; a document scores as: its first, best, all, best four, or the best of it read at once",
      ).choices(["first", "max", "sum", "top", "key-blocks"]),
    )
    .option("--first-stage-weight <weight>", "of the scores before, 0 to 1", numberBetween(0, 1), 0)
    .option("--relevant <class>", "the class that means relevant, of a model that classifies")
    .option("--max-length <tokens>", "longest sequence of the reranker (default: as in training)", wholeNumber(8));

/** A cross-encoder with the longest sequence that it reads. */
export interface CommandCrossEncoder extends CrossEncoder {
  readonly maxLength: number;
  close(): void;
}

/** Opens a cross-encoder; one without task.json has the task that its head says. */
export function openCrossEncoder(folder: string, { relevant, maxLength }: RerankOptions): CommandCrossEncoder {
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
    maxLength: loaded.maxLength,
    close() {
      planned.close();
      loaded.model.dispose();
    },
  };
}

/**
 * The stage that the options describe.
 *
 * @param collection texts that say how rare words are, for key blocks
 */
export function rerankerOf(
  model: CommandCrossEncoder,
  texts: DocumentTexts,
  options: RerankOptions,
  collection: () => Iterable<string>,
): Reranker {
  const { rerankDepth: depth, firstStageWeight, passages } = options;
  if (options.rerankMode === "pairwise") return rerankPairwise(model, texts, { depth, firstStageWeight });
  if (options.rerankMode === "bert-qe") return rerankBertQe(model, texts, { depth, firstStageWeight });
  if (passages === "key-blocks") {
    const { statistics } = new Bm25Index(collection());
    // Room for a query, and for words that fall into pieces.
    const budget = Math.max(8, Math.floor(0.75 * model.maxLength) - Math.min(16, model.maxLength >> 2) - 1);
    const short = keyBlockEncoder(model, bm25BlockScorer(statistics), { budget, words: Math.min(63, budget) });
    return rerankPointwise(short, texts, { depth, firstStageWeight });
  }
  const aggregation: PassageAggregation | undefined = passages === "top" ? { top: 4 } : passages;
  return rerankPointwise(model, texts, { depth, firstStageWeight, aggregation });
}
