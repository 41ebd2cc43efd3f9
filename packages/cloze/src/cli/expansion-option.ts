// Options of commands that search by words: queries made longer by what they find first.
import { type Command, Option } from "commander";
import { ClozeError } from "../errors.js";
import { loadModel } from "../families/index.js";
import {
  createFeedbackExpansion,
  type FeedbackExpansion,
  feedbackExpansionKind,
  feedbackExpansions,
} from "../retrieval/pipeline/feedback/index.js";
import { loadTokenizer } from "../text/index.js";
import { setting } from "./arguments.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import type { CommonOptions } from "./output.js";
import { partsHelp } from "./parts-help.js";

/** What {@link withExpansionOptions} adds. */
export interface ExpansionOptions extends CommonOptions {
  expand?: string;
  set?: Record<string, unknown>;
  expandModel?: string;
}

/** Adds --expand, --set and --expand-model. */
export const withExpansionOptions = (command: Command): Command =>
  command
    .addOption(
      new Option(
        "--expand <way>",
        "search words twice, the second time with words of what was found first, see below (pipelines bm25 and hybrid)",
      ).choices(feedbackExpansions.map(({ type }) => type)),
    )
    .option("--set <name=value>", "an option of --expand, see below; may be repeated", setting)
    .option(`--expand-model ${modelArgument}`, "the encoder that --expand ceqe reads words with")
    .addHelpText(
      "after",
      () => `\nWays to expand queries and their options (--set name=value):\n${partsHelp(feedbackExpansions)}`,
    );

export interface OpenedExpansion {
  readonly expansion: FeedbackExpansion;
  dispose(): void;
}

/**
 * The expansion that the options ask for; undefined for none.
 *
 * @param pipeline how documents are found
 * @throws OPTION_CONFLICT, OPTION_MISSING, EXPANSION_OPTIONS, and what loading a model throws
 */
export async function openExpansion(options: ExpansionOptions, pipeline: string): Promise<OpenedExpansion | undefined> {
  const { expand, set = {}, expandModel } = options;
  if (expand === undefined) {
    if (options.set === undefined && expandModel === undefined) return undefined;
    throw new ClozeError("OPTION_CONFLICT", "--set and --expand-model belong to --expand", {
      expected: `--expand ${feedbackExpansions.map(({ type }) => type).join(" or ")}`,
      received: "none",
    });
  }
  if (pipeline !== "bm25" && pipeline !== "hybrid") {
    throw new ClozeError("OPTION_CONFLICT", "Queries are expanded where words are searched", {
      expected: "--pipeline bm25 or hybrid",
      received: pipeline,
      remedy: "Choose one of them, or leave --expand out.",
    });
  }
  const { needsEncoder } = feedbackExpansionKind(expand);
  if (needsEncoder !== (expandModel !== undefined)) {
    throw new ClozeError(
      needsEncoder ? "OPTION_MISSING" : "OPTION_CONFLICT",
      `--expand ${expand} ${needsEncoder ? "compares the states of an encoder" : "reads no model"}`,
      {
        expected: needsEncoder ? `--expand-model ${modelArgument}` : "no --expand-model",
        received: expandModel ?? "none",
      },
    );
  }
  if (expandModel === undefined) return { expansion: createFeedbackExpansion({ ...set, type: expand }), dispose() {} };
  const folder = await modelFolder(expandModel, options);
  const model = loadModel(folder);
  try {
    const expansion = createFeedbackExpansion({ ...set, type: expand }, { model, tokenizer: loadTokenizer(folder) });
    return { expansion, dispose: () => model.dispose() };
  } catch (error) {
    model.dispose();
    throw error;
  }
}
