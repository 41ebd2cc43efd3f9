import { type Command, Option } from "commander";
import { createWarnings } from "../data/readers/warnings.js";
import { ClozeError } from "../errors.js";
import { findCollection, readJudgements } from "../retrieval/test-collection/index.js";
import { openTrainedPart, trainedPartKind, trainedParts } from "../retrieval/trained-parts/index.js";
import { numberBetween, setting, wholeNumber } from "./arguments.js";
import { noteWarnings } from "./data-options.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { progressFor } from "./output.js";
import { partsHelp } from "./parts-help.js";
import { printRun, type TrainingOptions, withTrainingOptions } from "./training-options.js";

interface TrainRetrievalOptions extends TrainingOptions {
  part: string;
  data: string;
  split: string;
  model: string;
  set?: Record<string, unknown>;
  others: number;
  epochs?: number;
  batchSize?: number;
}

/** `cloze train-retrieval` */
export function addTrainRetrieval(program: Command): void {
  const command = program
    .command("train-retrieval")
    .description("train a part of a search pipeline on what a test collection's judgements say")
    .addOption(
      new Option("--part <part>", "what is trained, see below")
        .choices(trainedParts.map(({ type }) => type))
        .makeOptionMandatory(),
    )
    .requiredOption("--data <folder>", "a test collection, as cloze evaluate retrieval takes")
    .option("--split <name>", "whose judgements are learnt from", "train")
    .requiredOption(`--model ${modelArgument}`, "the encoder to start from, or such a part, to go on with")
    .option("--set <name=value>", "an option of the part, see below; may be repeated", setting)
    .option(
      "--others <count>",
      "documents that do not answer a query, for each that does, drawn of the first 100 of BM25",
      wholeNumber(1),
      4,
    )
    .addOption(
      new Option("--epochs <count>", "times that every row is seen, instead of --steps").argParser(numberBetween(0.01)),
    )
    .option("--batch-size <rows>", "rows of a batch (default: rerankers 32, epic 8, others 16)", wholeNumber(1))
    .addHelpText("after", () => `\nParts and their options (--set name=value):\n${partsHelp(trainedParts)}`);
  withTrainingOptions(command).action(async (options: TrainRetrievalOptions) => {
    if (options.steps === undefined && options.minutes === undefined && options.epochs === undefined) {
      throw new ClozeError("TRAINING_LENGTH", "Say when training ends", {
        remedy: "Add --epochs 1, --steps 1000 or --minutes 10.",
      });
    }
    const progress = progressFor(options);
    const folder = await modelFolder(options.model, options);
    const { readsOthers } = trainedPartKind(options.part);
    const part = openTrainedPart(folder, { ...options.set, type: options.part }, { seed: options.seed });
    try {
      const warnings = createWarnings();
      const judgements = await readJudgements(findCollection(options.data, options.split), {
        others: readsOthers ? options.others : 0,
        seed: options.seed,
        warnings,
      });
      noteWarnings(progress, warnings.list());
      const rows = part.rows(judgements);
      progress.note(`${judgements.length} queries, ${rows} rows for ${options.part}`);
      const { steps, minutes, epochs, batchSize, learningRate, weightDecay } = options;
      const result = await part.train(judgements, {
        steps,
        minutes,
        epochs,
        ...(batchSize === undefined ? {} : { batchSize }),
        ...(learningRate === undefined ? {} : { learningRate }),
        ...(weightDecay === undefined ? {} : { weightDecay }),
        seed: options.seed,
        folder: options.out,
        resume: options.resume,
        checkpointMinutes: options.checkpointMinutes,
        progress,
      });
      part.save(options.out);
      const report = { ...result, rows, queries: judgements.length, warnings: warnings.list() };
      printRun(options, report);
    } finally {
      part.dispose();
    }
  });
}
