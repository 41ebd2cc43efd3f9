import { type Command, Option } from "commander";
import { createWarnings } from "../data/readers/warnings.js";
import { ngramLexiconBuilder, saveNgramLexicon } from "../objectives/ngrams/lexicon.js";
import { loadTokenizer, splitSentences, type Tokenizer } from "../text/index.js";
import { numberBetween, wholeNumber } from "./arguments.js";
import { addTextField, corpusTexts, type TextFieldOptions } from "./corpus-texts.js";
import { noteWarnings } from "./data-options.js";
import { type CommonOptions, printResult, progressFor } from "./output.js";

interface LexiconOptions extends CommonOptions, TextFieldOptions {
  tokenizer: string;
  out: string;
  size: number;
  longest: number;
  minimumCount: number;
  dropContained?: number;
}

/** Tokens that are no words: special ones, and those without a letter or a digit. */
function excludedIds(tokenizer: Tokenizer): Set<number> {
  const excluded = new Set(tokenizer.specialIds);
  for (let id = 0; id < tokenizer.vocabularySize; id++) {
    if (!/[\p{L}\p{N}]/u.test(tokenizer.decode([id], { skipSpecialTokens: false }))) excluded.add(id);
  }
  return excluded;
}

/** `cloze lexicon` */
export function addLexicon(program: Command): void {
  addTextField(program.command("lexicon"))
    .description("find n-grams that stand together more often than chance has it, for --objective ngram-language")
    .argument("<sources...>", "files of text, JSON lines, Parquet, CSV or TSV, folders, or patterns")
    .requiredOption("--tokenizer <path>", "tokenizer.json or its folder: n-grams are of its tokens")
    .requiredOption("--out <file>", "the lexicon, as JSON")
    .option("--size <count>", "entries at most", wholeNumber(), 3000)
    .addOption(new Option("--longest <tokens>", "longest n-gram").argParser(wholeNumber(2)).default(3))
    .option("--minimum-count <count>", "rarer n-grams are left out", wholeNumber(), 3)
    .option(
      "--drop-contained <share>",
      "leave out n-grams that stand inside one longer n-gram in this share of their places",
      numberBetween(0, 1),
    )
    .action(async (sources: string[], options: LexiconOptions) => {
      const tokenizer = loadTokenizer(options.tokenizer);
      const progress = progressFor(options);
      const warnings = createWarnings();
      const builder = ngramLexiconBuilder({
        n: Array.from({ length: options.longest - 1 }, (_, i) => i + 2),
        size: options.size,
        minimumCount: options.minimumCount,
        dropContained: options.dropContained,
        excluded: excludedIds(tokenizer),
      });
      const textsOf = corpusTexts(sources, options, progress);
      for (const source of sources) {
        for await (const text of textsOf(source, warnings)) {
          for (const sentence of splitSentences(text)) {
            builder.add(tokenizer.encodeIds(sentence, { addSpecialTokens: false, truncation: false }));
          }
        }
      }
      const lexicon = builder.finish();
      noteWarnings(progress, warnings.list());
      saveNgramLexicon(lexicon, options.out);
      const best = lexicon.entries
        .slice(0, 10)
        .map(({ ids, count, score }) => ({ text: tokenizer.decode(ids), count, score }));
      printResult(options, { lexicon: options.out, entries: lexicon.entries.length, best }, () =>
        [
          ...best.map(({ text, count, score }) => `${text}  ${count} times, t = ${score.toFixed(1)}`),
          `${lexicon.entries.length} n-grams in ${options.out}`,
        ].join("\n"),
      );
    });
}
