import { mkdirSync, statSync } from "node:fs";
import { type Command, Option } from "commander";
import { holdsText } from "../data/corpus/corpus-files.js";
import { amplified, type WeightedText } from "../data/corpus/index.js";
import { createWarnings, type DataWarnings } from "../data/readers/warnings.js";
import { ClozeError } from "../errors.js";
import { textFiles } from "../text/corpus.js";
import { readLines, type Tokenizer, trainBpe, trainUnigram, trainWordLevel, trainWordPiece } from "../text/index.js";
import { wholeNumber } from "./arguments.js";
import { noteWarnings } from "./data-options.js";
import { type CommonOptions, printResult, progressFor } from "./output.js";

type TrainingTexts = Iterable<string | WeightedText>;

/** Trainers by the name of their model. */
const trainers = {
  wordpiece: (texts: TrainingTexts, { vocabularySize, cased }: TrainOptions): Tokenizer =>
    trainWordPiece(texts, { vocabularySize, lowercase: cased !== true }),
  bpe: (texts: TrainingTexts, { vocabularySize }: TrainOptions): Tokenizer => trainBpe(texts, { vocabularySize }),
  unigram: (texts: TrainingTexts, { vocabularySize }: TrainOptions): Tokenizer =>
    trainUnigram(texts, { vocabularySize }),
  words: (texts: TrainingTexts, { vocabularySize, cased }: TrainOptions): Tokenizer =>
    trainWordLevel(texts, { vocabularySize, lowercase: cased !== true }),
  characters: (texts: TrainingTexts, { vocabularySize, cased }: TrainOptions): Tokenizer =>
    trainWordLevel(texts, { unit: "characters", vocabularySize, lowercase: cased !== true }),
};

interface TrainOptions extends CommonOptions {
  out: string;
  type: keyof typeof trainers;
  vocabularySize: number;
  cased?: boolean;
  balance?: "bytes";
}

/** The text files that an argument stands for; what holds no text is left out and counted. */
const filesOf = (path: string, warnings: DataWarnings): string[] =>
  textFiles(path).filter((file) => {
    // A pipe is read once.
    if (!statSync(file).isFile() || holdsText(file)) return true;
    warnings.add("CORPUS_BINARY_FILE", "files that hold no text, left out", file);
    return false;
  });

function textsOf(files: readonly string[], { balance }: TrainOptions, warnings: DataWarnings): TrainingTexts {
  const groups = files.map((file) => filesOf(file, warnings)).filter((group) => group.length > 0);
  if (groups.length === 0) {
    throw new ClozeError("CORPUS_EMPTY", `There is no text in ${files.join(", ")}`, {
      expected: "lines of text",
      received: "files that hold no text",
    });
  }
  return balance === undefined ? readLines(groups.flat()) : amplified(groups.map((group) => readLines(group)));
}

/** `cloze tokenizer train` */
export function addTokenizer(program: Command): void {
  const tokenizer = program.command("tokenizer").description("work with tokenizers");
  tokenizer
    .command("train")
    .description("learn a tokenizer from text files, one document a line")
    .argument("<files...>", "text files")
    .requiredOption("--out <folder>", "where tokenizer.json goes")
    .addOption(new Option("--type <type>", "the model").choices(Object.keys(trainers)).default("wordpiece"))
    .option("--vocabulary-size <count>", "entries, special tokens included", wholeNumber(10), 30522)
    .option("--cased", "keep upper case and accents (wordpiece, words, characters)")
    .addOption(
      new Option(
        "--balance <measure>",
        "each file counts as much as the largest, so that words of small ones stay whole (arXiv 2005.07202)",
      ).choices(["bytes"]),
    )
    .action((files: string[], options: TrainOptions) => {
      const start = performance.now();
      const warnings = createWarnings();
      const trained = trainers[options.type](textsOf(files, options, warnings), options);
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
