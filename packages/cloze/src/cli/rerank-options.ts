// Options of commands that rerank.
import { type Command, InvalidArgumentError, Option } from "commander";
import type { RerankExitsOptions } from "../retrieval/rerank/rerank-exits.js";
import { numberBetween, wholeNumber } from "./arguments.js";

/** What {@link withRerankOptions} adds. */
export interface RerankOptions {
  rerankDepth: number;
  rerankMode: "pointwise" | "pairwise" | "bert-qe";
  passages?: "first" | "max" | "sum" | "top" | "key-blocks";
  firstStageWeight: number;
  relevant?: string;
  maxLength?: number;
  exits?: Pick<RerankExitsOptions, "exits" | "cascade">;
  states?: string;
}

/** `positive,negative`, or one share. */
function exitRule(text: string): Pick<RerankExitsOptions, "exits" | "cascade"> {
  const numbers = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  const [positive, negative] = numbers;
  if (numbers.length === 1 && positive >= 0 && positive < 1) return { cascade: positive };
  if (numbers.length === 2 && positive > 0 && negative > 0) return { exits: { positive, negative } };
  throw new InvalidArgumentError('Two thresholds are needed, such as "0.99,0.9", or one share below 1, such as "0.3".');
}

/** Adds --rerank-depth, --rerank-mode, --passages, --first-stage-weight, --relevant, --max-length, --exits and --states. */
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
    .option("--max-length <tokens>", "longest sequence of the reranker (default: as in training)", wholeNumber(8))
    .option(
      "--exits <relevant,not|share>",
      "when candidates leave a reranker of --part early-exit: how sure it is of either; or the share, the worst, that leaves at each exit (default: 0.99,0.9)",
      exitRule,
    )
    .option(
      "--states <folder>",
      "where a reranker of --part prettr keeps what it read of documents: those that are there are not read again",
    );
