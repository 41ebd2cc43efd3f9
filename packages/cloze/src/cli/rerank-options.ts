// Options of commands that rerank, and the stage that they describe.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { ClozeError } from "../errors.js";
import { plannedForward } from "../inference/planned-forward.js";
import { isJointFolder } from "../objectives/pairs/joint-folder.js";
import { Bm25Index } from "../retrieval/bm25.js";
import type { Reranker } from "../retrieval/pipeline/retriever.js";
import { type CrossEncoder, crossEncoder } from "../retrieval/rerank/cross-encoder.js";
import { loadJointRanker } from "../retrieval/rerank/joint-ranker-folder.js";
import { bm25BlockScorer, keyBlockEncoder } from "../retrieval/rerank/key-blocks.js";
import { isParadeFolder, loadParade } from "../retrieval/rerank/parade-folder.js";
import type { PassageAggregation } from "../retrieval/rerank/passages.js";
import { rerankBertQe } from "../retrieval/rerank/rerank-bert-qe.js";
import {
  type DocumentTexts,
  rerankJoint,
  rerankPairwise,
  rerankParade,
  rerankPointwise,
} from "../retrieval/rerank/rerankers.js";
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

/** A model that reranks, opened: the stages that the options make of it. */
export interface OpenedReranker {
  /** @param collection texts that say how rare words are, for key blocks */
  stage(texts: DocumentTexts, collection: () => Iterable<string>): Reranker;
  close(): void;
}

interface RerankerKind {
  recognises(folder: string): boolean;
  open(folder: string, options: RerankOptions): OpenedReranker;
}

/** Kinds of folders that rerank, the most special first. */
const kinds: readonly RerankerKind[] = [
  { recognises: isJointFolder, open: openJoint },
  { recognises: isParadeFolder, open: openParade },
  { recognises: () => true, open: openCrossEncoder },
];

/** Opens a model that reranks: a PARADE folder, or a cross-encoder. @throws OPTION_CONFLICT, and what loading throws */
export const openReranker = (folder: string, options: RerankOptions): OpenedReranker =>
  (kinds.find(({ recognises }) => recognises(folder)) as RerankerKind).open(folder, options);

/** Refuses what a reranker has of its own, with its folder. */
function checkOwn(folder: string, options: RerankOptions, what: string): void {
  const told = (["passages", "relevant", "maxLength"] as const).filter((name) => options[name] !== undefined);
  if (options.rerankMode === "pointwise" && told.length === 0) return;
  const flags = { passages: "--passages", relevant: "--relevant", maxLength: "--max-length" };
  throw new ClozeError("OPTION_CONFLICT", `${folder} holds ${what}`, {
    expected: "none of --rerank-mode, --passages, --relevant and --max-length",
    received: told.length > 0 ? told.map((name) => flags[name]).join(", ") : `--rerank-mode ${options.rerankMode}`,
    remedy: "Leave them out: what the model was trained with is in its folder.",
  });
}

/** PARADE has its own passages and lengths. */
function openParade(folder: string, options: RerankOptions): OpenedReranker {
  checkOwn(folder, options, "a PARADE reranker, which reads all passages of a document");
  const parade = loadParade(folder);
  const { rerankDepth: depth, firstStageWeight } = options;
  return {
    stage: (texts) => rerankParade(parade, texts, { depth, firstStageWeight }),
    close: () => parade.dispose(),
  };
}

/** Joint models have their own groups and lengths. */
function openJoint(folder: string, options: RerankOptions): OpenedReranker {
  checkOwn(folder, options, "a joint reranker, which reads several documents at once");
  const joint = loadJointRanker(folder);
  const { rerankDepth: depth, firstStageWeight } = options;
  return {
    stage: (texts) => rerankJoint(joint, texts, { depth, firstStageWeight }),
    close: () => joint.dispose(),
  };
}

/** A cross-encoder; one without task.json has the task that its head says. */
function openCrossEncoder(folder: string, options: RerankOptions): OpenedReranker {
  const { relevant, maxLength } = options;
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
  const model = crossEncoder({ ...loaded, forward: planned.forward }, { relevant });
  return {
    stage: (texts, collection) => crossEncoderStage(model, loaded.maxLength, texts, options, collection),
    close() {
      planned.close();
      loaded.model.dispose();
    },
  };
}

function crossEncoderStage(
  model: CrossEncoder,
  maxLength: number,
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
    const budget = Math.max(8, Math.floor(0.75 * maxLength) - Math.min(16, maxLength >> 2) - 1);
    const short = keyBlockEncoder(model, bm25BlockScorer(statistics), { budget, words: Math.min(63, budget) });
    return rerankPointwise(short, texts, { depth, firstStageWeight });
  }
  const aggregation: PassageAggregation | undefined = passages === "top" ? { top: 4 } : passages;
  return rerankPointwise(model, texts, { depth, firstStageWeight, aggregation });
}
