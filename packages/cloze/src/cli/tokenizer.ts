import { mkdirSync } from "node:fs";
import { type Command, Option } from "commander";
import { amplifications } from "../data/corpus/index.js";
import { createWarnings, type DataWarnings } from "../data/readers/warnings.js";
import {
  bpeTrainer,
  type TokenizerTrainer,
  unigramTrainer,
  wordLevelTrainer,
  wordPieceTrainer,
} from "../text/index.js";
import { wholeNumber } from "./arguments.js";
import { addTextField, corpusTexts, type TextFieldOptions } from "./corpus-texts.js";
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

interface TrainOptions extends CommonOptions, TextFieldOptions {
  out: string;
  type: string;
  vocabularySize: number;
  cased?: boolean;
  balance?: "bytes";
}

/** Gives a trainer all texts; with --balance those of small sources several times. */
async function addTexts(
  trainer: TokenizerTrainer,
  sources: readonly string[],
  options: TrainOptions,
  warnings: DataWarnings,
): Promise<void> {
  const isBalanced = options.balance !== undefined;
  const textsOf = corpusTexts(sources, options, progressFor(options), isBalanced ? 2 : 1);
  const sizes = sources.map(() => 1);
  if (isBalanced) {
    for (const [i, source] of sources.entries()) {
      sizes[i] = 0;
      // What is to be said about a source is said when it is read for the trainer.
      for await (const text of textsOf(source)) sizes[i] += Buffer.byteLength(text);
    }
  }
  for (const [i, times] of amplifications(sizes).entries()) {
    for await (const text of textsOf(sources[i], warnings)) trainer.add({ text, times });
  }
}

/** `cloze tokenizer train` */
export function addTokenizer(program: Command): void {
  const tokenizer = program.command("tokenizer").description("work with tokenizers");
  addTextField(tokenizer.command("train"))
    .description("learn a tokenizer from texts: lines of text files, JSON lines, Parquet, CSV or TSV, packed or not")
    .argument("<sources...>", "files, folders, or patterns such as 'texts/*.jsonl'")
    .requiredOption("--out <folder>", "where tokenizer.json goes")
    .addOption(new Option("--type <type>", "the model").choices(Object.keys(trainers)).default("wordpiece"))
    .option("--vocabulary-size <count>", "entries, special tokens included", wholeNumber(10), 30522)
    .option("--cased", "keep upper case and accents (wordpiece, words, characters)")
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
