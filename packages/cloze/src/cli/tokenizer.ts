import { mkdirSync } from "node:fs";
import { type Command, Option } from "commander";
import { readLines, type Tokenizer, trainBpe, trainUnigram, trainWordLevel, trainWordPiece } from "../text/index.js";
import { wholeNumber } from "./arguments.js";
import { type CommonOptions, printResult } from "./output.js";

/** Trainers by the name of their model. */
const trainers = {
  wordpiece: (texts: Iterable<string>, { vocabularySize, cased }: TrainOptions): Tokenizer =>
    trainWordPiece(texts, { vocabularySize, lowercase: cased !== true }),
  bpe: (texts: Iterable<string>, { vocabularySize }: TrainOptions): Tokenizer => trainBpe(texts, { vocabularySize }),
  unigram: (texts: Iterable<string>, { vocabularySize }: TrainOptions): Tokenizer =>
    trainUnigram(texts, { vocabularySize }),
  words: (texts: Iterable<string>, { vocabularySize, cased }: TrainOptions): Tokenizer =>
    trainWordLevel(texts, { vocabularySize, lowercase: cased !== true }),
  characters: (texts: Iterable<string>, { vocabularySize, cased }: TrainOptions): Tokenizer =>
    trainWordLevel(texts, { unit: "characters", vocabularySize, lowercase: cased !== true }),
};

interface TrainOptions extends CommonOptions {
  out: string;
  type: keyof typeof trainers;
  vocabularySize: number;
  cased?: boolean;
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
    .action((files: string[], options: TrainOptions) => {
      const start = performance.now();
      const trained = trainers[options.type](readLines(files), options);
      mkdirSync(options.out, { recursive: true });
      trained.save(options.out);
      const seconds = (performance.now() - start) / 1000;
      printResult(
        options,
        { tokenizer: options.out, vocabularySize: trained.vocabularySize, seconds },
        () => `${trained.vocabularySize} entries in ${options.out} (${seconds.toFixed(1)} s)`,
      );
    });
}
