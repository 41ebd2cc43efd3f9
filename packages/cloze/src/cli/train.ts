import { type Command, Option } from "commander";
import { z } from "zod";
import { type DataFormat, dataFormats } from "../data/readers/index.js";
import { readSimilarityRows } from "../data/readers/similarity-rows.js";
import { createWarnings } from "../data/readers/warnings.js";
import { stsEvaluator } from "../embedding/evaluation/sts.js";
import { embeddingLosses, type LossConfig, lossKind, rowsOfLoss } from "../embedding/losses/index.js";
import { poolingModes } from "../embedding/pooling.js";
import { loadEmbedder, saveEmbedder } from "../embedding/sentence-transformers.js";
import { isStaticConfig } from "../embedding/static-embedder.js";
import { type EmbeddingRow, type TrainEmbedderResult, trainEmbedder } from "../embedding/train-embedder.js";
import { readEmbeddingRows, rowOf, type TextPair } from "../embedding/training/rows.js";
import { ClozeError } from "../errors.js";
import { readLines } from "../text/index.js";
import { findCheckpoint, removeCheckpoints } from "../training/checkpoint.js";
import type { ProgressReporter } from "../training/progress.js";
import { numberBetween, partColumn, setting, wholeNumber } from "./arguments.js";
import { noteGuesses, noteWarnings } from "./data-options.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { modelSizes } from "./model-size.js";
import { progressFor } from "./output.js";
import { type StartEmbedderOptions, startEmbedder } from "./start-embedder.js";
import {
  type EncoderKind,
  encoderKind,
  encoderKinds,
  newModelLength,
  startEncoder,
  type TrainedEncoder,
  usualLoss,
} from "./trained-encoder.js";
import { printRun, withTrainingOptions } from "./training-options.js";

/** The highest learning rate of a table of vectors: a row learns only where its token occurs. */
const staticRate = 0.05;

interface TrainCommandOptions extends StartEmbedderOptions {
  model?: string;
  encoder?: EncoderKind;
  loss?: string;
  set?: Record<string, unknown>;
  column?: Record<string, string | null>;
  format?: DataFormat;
  epochs?: number;
  batchSize: number;
  chunkSize?: number;
  temperature: number;
  guide?: string;
  teacher?: string;
  dev?: string;
  evaluateEvery?: number;
  patience?: number;
}

const pairSchema = z.object({
  query: z.string(),
  document: z.string(),
  negatives: z.array(z.string()).optional(),
});

/** Pairs from files: JSON lines {query, document, negatives?}, or two columns with a tab and no header. */
export function readPairs(files: readonly string[]): TextPair[] {
  const pairs: TextPair[] = [];
  for (const file of files) {
    let number = 0;
    for (const line of readLines([file])) {
      number++;
      const wrong = (received: string): never => {
        throw new ClozeError("TRAINING_PAIRS", `${file}, line ${number}: no pair of texts`, {
          expected: '{"query": "…", "document": "…"} or two texts with a tab between them',
          received,
        });
      };
      if (line.startsWith("{")) {
        let value: unknown;
        try {
          value = JSON.parse(line);
        } catch (cause) {
          wrong(cause instanceof Error ? cause.message : String(cause));
        }
        const result = pairSchema.safeParse(value);
        pairs.push(result.success ? result.data : wrong(z.prettifyError(result.error)));
        continue;
      }
      const [query, document, ...rest] = line.split("\t");
      if (document === undefined || rest.length > 0) wrong(line.slice(0, 80));
      pairs.push({ query, document });
    }
  }
  return pairs;
}

/** Rows for a loss from files; says which columns were taken. Pairs may also stand in two columns without a header. */
async function readRows(
  files: readonly string[],
  loss: LossConfig,
  options: TrainCommandOptions,
  progress: ProgressReporter,
): Promise<EmbeddingRow[]> {
  const shape = rowsOfLoss(loss);
  const rows: EmbeddingRow[] = [];
  for (const file of files) {
    try {
      const source = await readEmbeddingRows(file, shape, { columns: options.column, format: options.format });
      for await (const group of source) rows.push(...group);
      noteGuesses(progress, source);
      noteWarnings(progress, source.warnings.list());
    } catch (error) {
      const plainPairs = shape === "pair" && options.column === undefined && options.format === undefined;
      const noColumns =
        error instanceof ClozeError && ["DATA_COLUMN_MISSING", "DATA_FORMAT_UNKNOWN", "DATA_ROW"].includes(error.code);
      if (!plainPairs || !noColumns) throw error;
      rows.push(...readPairs([file]).map(rowOf));
    }
  }
  return rows;
}

const lossHelp = (): string =>
  embeddingLosses
    .map(({ type, description, rows, options }) => {
      const lines = Object.entries(options.shape).map(
        ([name, schema]) => `      ${name}  ${(schema as { description?: string }).description ?? ""}`,
      );
      return [`  ${type} (rows: ${rows})`, `    ${description}`, ...lines].join("\n");
    })
    .join("\n");

const shapesHelp = `
Rows of files (TSV, CSV, JSON lines, Parquet; columns are guessed and said, or named with --column part=column):
  pair           anchor, positive, perhaps negatives (or two columns without a header)
  triplet        anchor, positive, negative
  scored-pair    anchor, positive, label: a number
  binary-pair    anchor, positive, label: 1 or 0
  class-pair     anchor, positive, label: a word
  labelled-text  text, label: a word
  margin         anchor, positive, negative, label: a teacher's scores or differences
  vector         text (and positive: a translation), label: a teacher's vector (or --teacher)
docs/embedding.md says which losses suit which data.`;

/** `cloze train` */
export function addTrain(program: Command): void {
  const command = program
    .command("train")
    .description(
      "train an embedder, or a SPLADE, uniCOIL or ColBERT encoder: on pairs, scores, classes, or a teacher's judgements",
    )
    .argument("<files...>", "files of rows")
    .option("--tokenizer <path>", "tokenizer.json or its folder, for a new model")
    .option(`--model ${modelArgument}`, "go on from this model, with its tokenizer")
    .addOption(new Option("--size <size>", "size of a new model").choices(Object.keys(modelSizes)).default("mini"))
    .addOption(
      new Option(
        "--static <width>",
        "a new model is a table of vectors of so many numbers, and a text the mean of its tokens': very fast",
      ).argParser(wholeNumber()),
    )
    .addOption(
      new Option(
        "--loss <loss>",
        "what is learnt, see below (default: multiple-negatives; splade, colbert for such encoders)",
      ).choices(embeddingLosses.flatMap(({ type, aliases = [] }) => [type, ...aliases])),
    )
    .addOption(
      new Option(
        "--encoder <kind>",
        "dense: a vector of a text; splade, unicoil: weighted terms; colbert: a vector of each token (default: as the model or the loss is)",
      ).choices(encoderKinds),
    )
    .option("--set <name=value>", "an option of the loss, see below; may be repeated", setting)
    .option("--column <part=column>", "the column that plays a part; may be repeated", partColumn)
    .addOption(new Option("--format <format>", "of the files, if their names do not tell").choices(dataFormats))
    .addOption(
      new Option("--epochs <count>", "times that every row is seen, instead of --steps").argParser(numberBetween(0.01)),
    )
    .option(
      "--max-length <tokens>",
      `longest text (default: what the model is made for; of a new one ${newModelLength})`,
      wholeNumber(4),
    )
    .addOption(
      new Option(
        "--document-layers <count>",
        "texts are long documents: blocks of 32 tokens, and so many layers over the blocks (SMITH; --max-length 2048)",
      ).argParser(wholeNumber()),
    )
    .option("--batch-size <rows>", "rows of a batch", wholeNumber(2), 64)
    .addOption(
      new Option("--chunk-size <texts>", "texts embedded at once; smaller takes less memory").argParser(wholeNumber()),
    )
    .option("--temperature <value>", "what cosines are divided by (multiple-negatives)", numberBetween(0.001), 0.05)
    .addOption(
      new Option("--pooling <mode>", "how tokens become a vector, where not the model's").choices(poolingModes),
    )
    .option(`--guide ${modelArgument}`, "the guiding embedder of the loss gist")
    .option(`--teacher ${modelArgument}`, "the embedder whose vectors the loss mse teaches")
    .option("--dev <file>", "pairs with scores: the weights of the best evaluation are kept")
    .option("--evaluate-every <steps>", "steps between evaluations (default: a tenth of the run)", wholeNumber())
    .option("--patience <evaluations>", "stop after so many evaluations without improvement", wholeNumber())
    .addHelpText("after", () => `${shapesHelp}\n\nLosses and their options (--set name=value):\n${lossHelp()}`);
  withTrainingOptions(command).action(async (files: string[], options: TrainCommandOptions) => {
    if (options.steps === undefined && options.minutes === undefined && options.epochs === undefined) {
      throw new ClozeError("TRAINING_LENGTH", "Say when training ends", {
        remedy: "Add --steps 1000, --epochs 1 or --minutes 10.",
      });
    }
    const progress = progressFor(options);
    const start = options.model === undefined ? undefined : await modelFolder(options.model, options);
    const kind = encoderKind(options.encoder, start, options.loss ?? "multiple-negatives");
    const name = options.loss ?? usualLoss[kind];
    const isDefault = kind === "dense" && ["multiple-negatives", "mnrl", "info-nce"].includes(name);
    const loss: LossConfig = {
      type: name,
      ...(isDefault ? { scale: 1 / options.temperature, symmetric: true } : {}),
      ...options.set,
    };
    const rows = await readRows(files, loss, options, progress);
    if (kind !== "dense" && options.dev !== undefined) {
      throw new ClozeError("OPTION_CONFLICT", "Pairs with scores measure embedders of whole texts", {
        expected: "--encoder dense",
        received: `--dev with ${kind}`,
        remedy: "Leave --dev out, and compare with cloze evaluate retrieval.",
      });
    }
    progress.note(`${rows.length} rows for ${name}`);
    const unplanned = options.steps === undefined && options.epochs === undefined;
    const unknownLength = unplanned ? lossKind(loss).unknownLength?.(options.set ?? {}) : undefined;
    if (unknownLength !== undefined)
      progress.note(`How many steps --minutes will be is not known: ${unknownLength}, or --steps`);
    const other = async (model: string | undefined) =>
      model === undefined ? undefined : loadEmbedder(await modelFolder(model, options));
    const [guide, teacher] = [await other(options.guide), await other(options.teacher)];
    const warnings = createWarnings();
    const dev =
      options.dev === undefined ? undefined : stsEvaluator((await readSimilarityRows(options.dev, warnings)).rows);
    noteWarnings(progress, warnings.list());
    const usualRate = start === undefined ? 5e-4 : 2e-5;
    const training = {
      loss,
      guide,
      teacher,
      steps: options.steps,
      epochs: options.epochs,
      minutes: options.minutes,
      learningRate: options.learningRate ?? usualRate,
      weightDecay: options.weightDecay,
      batchSize: options.batchSize,
      chunkSize: options.chunkSize,
      evaluateEvery: options.evaluateEvery,
      patience: options.patience,
      seed: options.seed,
      folder: options.out,
      resume: options.resume,
      checkpointMinutes: options.checkpointMinutes,
      progress,
    };
    let trained: TrainedEncoder;
    let result: TrainEmbedderResult;
    if (kind !== "dense" && options.static !== undefined) {
      throw new ClozeError("OPTION_CONFLICT", "A table of vectors makes embedders of whole texts", {
        expected: "--encoder dense",
        received: `--static with ${kind}`,
      });
    }
    if (kind === "dense") {
      const embedder = startEmbedder(options, start);
      trained = { encoder: embedder, save: (out) => saveEmbedder(embedder, out), dispose: () => embedder.dispose() };
      const learningRate = options.learningRate ?? (isStaticConfig(embedder.model.config) ? staticRate : usualRate);
      result = await trainEmbedder(embedder, rows, { ...training, learningRate, dev });
    } else {
      trained = startEncoder(kind, start, options);
      // A run that goes on has done it, and its weights are those of the checkpoint.
      const goesOn = options.resume && findCheckpoint(options.out) !== undefined;
      const done = goesOn ? undefined : trained.prepare?.(rows.slice(0, 32).map(({ texts }) => texts[1] ?? texts[0]));
      if (done !== undefined) progress.note(done);
      result = await trainEmbedder(trained.encoder, rows, training);
    }
    trained.save(options.out);
    if (result.best !== undefined && !result.interrupted) removeCheckpoints(options.out);
    printRun(options, result);
    for (const one of [trained, guide, teacher]) one?.dispose();
  });
}
