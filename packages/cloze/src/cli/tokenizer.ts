import { mkdirSync, statSync } from "node:fs";
import { type Command, Option } from "commander";
import { amplifications, corpusBytes, corpusDocuments } from "../data/corpus/index.js";
import { createWarnings, type DataWarnings } from "../data/readers/warnings.js";
import {
  bpeTrainer,
  readLines,
  type TokenizerTrainer,
  unigramTrainer,
  wordLevelTrainer,
  wordPieceTrainer,
} from "../text/index.js";
import { createMeter } from "../training/progress.js";
import { wholeNumber } from "./arguments.js";
import { noteWarnings } from "./data-options.js";
import { type CommonOptions, printResult, progressFor } from "./output.js";

/** Trainers by the name of their model. */
const trainers: Record<string, (options: TrainOptions) => TokenizerTrainer> = {
  wordpiece: ({ vocabularySize, cased }) => wordPieceTrainer({ vocabularySize, lowercase: cased !== true }),
  bpe: ({ vocabularySize }) => bpeTrainer({ vocabularySize }),
  unigram: ({ vocabularySize }) => unigramTrainer({ vocabularySize }),
  words: ({ vocabularySize, cased }) => wordLevelTrainer({ vocabularySize, lowercase: cased !== true }),
  characters: ({ vocabularySize, cased }) =>
    wordLevelTrainer({ unit: "characters", vocabularySize, lowercase: cased !== true }),
};

interface TrainOptions extends CommonOptions {
  out: string;
  type: string;
  vocabularySize: number;
  cased?: boolean;
  balance?: "bytes";
  textField?: string;
}

/** A pipe is read once, from its start: its format cannot be looked up. */
const isPipe = (source: string): boolean => {
  const stats = statSync(source, { throwIfNoEntry: false });
  return stats !== undefined && !stats.isFile() && !stats.isDirectory();
};

/** Gives a trainer all texts; with --balance those of small sources several times. */
async function addTexts(
  trainer: TokenizerTrainer,
  sources: readonly string[],
  options: TrainOptions,
  warnings: DataWarnings,
) {
  const { textField, balance } = options;
  const textsOf = (source: string, counted: DataWarnings): Iterable<string> | AsyncIterable<string> =>
    isPipe(source) ? readLines(source) : corpusDocuments([source], { textField }, counted);
  const files = sources.filter((source) => !isPipe(source));
  const allBytes = files.length === 0 ? Number.POSITIVE_INFINITY : corpusBytes(files) * (balance === undefined ? 1 : 2);
  const progress = progressFor(options);
  let bytes = 0;
  let texts = 0;
  // What is packed becomes more than its file has: it is not done before it is.
  const meter = createMeter("read texts", () => Math.min(0.99, bytes / allBytes));
  const count = (text: string): number => {
    const size = Buffer.byteLength(text) + 1;
    bytes += size;
    if (++texts % 1000 === 0) progress.update(meter.event(texts));
    return size;
  };
  const sizes = sources.map(() => 1);
  if (balance !== undefined) {
    for (const [i, source] of sources.entries()) {
      sizes[i] = 0;
      // What is to be said about a source is said when it is read for the trainer.
      for await (const text of textsOf(source, createWarnings())) sizes[i] += count(text);
    }
  }
  for (const [i, times] of amplifications(sizes).entries()) {
    for await (const text of textsOf(sources[i], warnings)) {
      count(text);
      trainer.add({ text, times });
    }
  }
  progress.done();
}

/** `cloze tokenizer train` */
export function addTokenizer(program: Command): void {
  const tokenizer = program.command("tokenizer").description("work with tokenizers");
  tokenizer
    .command("train")
    .description("learn a tokenizer from texts: lines of text files, JSON lines, Parquet, CSV or TSV, packed or not")
    .argument("<sources...>", "files, folders, or patterns such as 'texts/*.jsonl'")
    .requiredOption("--out <folder>", "where tokenizer.json goes")
    .addOption(new Option("--type <type>", "the model").choices(Object.keys(trainers)).default("wordpiece"))
    .option("--vocabulary-size <count>", "entries, special tokens included", wholeNumber(10), 30522)
    .option("--cased", "keep upper case and accents (wordpiece, words, characters)")
    .option("--text-field <name>", "the field of JSON lines, Parquet, CSV and TSV that holds the text (default: text)")
    .addOption(
      new Option(
        "--balance <measure>",
        "each source counts as much as the largest, so that words of small ones stay whole (arXiv 2005.07202)",
      ).choices(["bytes"]),
    )
    .action(async (sources: string[], options: TrainOptions) => {
      const start = performance.now();
      const warnings = createWarnings();
      const trainer = trainers[options.type](options);
      await addTexts(trainer, sources, options, warnings);
      const trained = trainer.finish();
      noteWarnings(progressFor(options), warnings.list());
      mkdirSync(options.out, { recursive: true });
      trained.save(options.out);
      const seconds = (performance.now() - start) / 1000;
      printResult(
        options,
        { tokenizer: options.out, vocabularySize: trained.vocabularySize, seconds, warnings: warnings.list() },
        () => `${trained.vocabularySize} entries in ${options.out} (${seconds.toFixed(1)} s)`,
      );
    });
}
