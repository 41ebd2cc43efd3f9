import { writeFileAtomic } from "@cloze/tensor";
import { type Command, Option } from "commander";
import { createWarnings } from "../data/readers/warnings.js";
import { findDuplicates, mineHardNegatives, semanticSplit } from "../embedding/mining/index.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { readEmbeddingRows, type TextPair } from "../embedding/training/rows.js";
import { ClozeError } from "../errors.js";
import { findCollection, fullText, readJudgements } from "../retrieval/test-collection/index.js";
import { createMeter, type ProgressReporter } from "../training/progress.js";
import { numberBetween, wholeNumber } from "./arguments.js";
import { addTextField, corpusTexts, type TextFieldOptions } from "./corpus-texts.js";
import { noteGuesses, noteWarnings } from "./data-options.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, formatTable, printResult, progressFor } from "./output.js";
import { readTexts } from "./text-rows.js";

interface MineOptions extends CommonOptions {
  model: string;
  out: string;
}

interface NegativesOptions extends MineOptions, TextFieldOptions {
  data?: string;
  split?: string;
  corpus?: string;
  negatives: number;
  rangeMin: number;
  rangeMax?: number;
  maxScore?: number;
  minScore?: number;
  margin?: number;
  relativeMargin?: number;
  sampling: "top" | "random";
  seed: number;
}

const writeLines = (path: string, lines: Iterable<string>): void =>
  writeFileAtomic(
    path,
    (function* () {
      for (const line of lines) yield Buffer.from(`${line}\n`);
    })(),
  );

async function documentsOf(source: string, options: TextFieldOptions, progress: ProgressReporter): Promise<string[]> {
  const warnings = createWarnings();
  const texts: string[] = [];
  for await (const text of corpusTexts([source], options, progress)(source, warnings)) texts.push(text);
  noteWarnings(progress, warnings.list());
  return texts;
}

/** Pairs to mine for, and the texts to search beside their documents. */
interface Minable {
  readonly pairs: readonly TextPair[];
  readonly corpus?: readonly string[];
}

/** Each judged query with each document that answers it, and all documents of the collection. */
async function judgedPairs(data: string, split: string, progress: ProgressReporter): Promise<Minable> {
  const files = findCollection(data, split);
  const warnings = createWarnings();
  const corpus: string[] = [];
  const judged = await readJudgements(files, {
    others: 0,
    warnings,
    onDocument: (document) => corpus.push(fullText(document)),
  });
  noteWarnings(progress, warnings.list());
  const pairs = judged.flatMap(({ query, relevant }) =>
    relevant.map((document) => ({ query, document: fullText(document) })),
  );
  progress.note(`${judged.length} queries, ${pairs.length} pairs, ${corpus.length} documents`);
  return { pairs, corpus };
}

async function filePairs(file: string, options: NegativesOptions, progress: ProgressReporter): Promise<Minable> {
  const source = await readEmbeddingRows(file, "pair");
  noteGuesses(progress, source);
  const pairs: TextPair[] = [];
  for await (const rows of source) for (const { texts } of rows) pairs.push({ query: texts[0], document: texts[1] });
  const { corpus } = options;
  return { pairs, corpus: corpus === undefined ? undefined : await documentsOf(corpus, options, progress) };
}

function minable(file: string | undefined, options: NegativesOptions, progress: ProgressReporter): Promise<Minable> {
  const { data, split, corpus } = options;
  if (data !== undefined && file === undefined && corpus === undefined)
    return judgedPairs(data, split ?? "train", progress);
  if (file !== undefined && data === undefined && split === undefined) return filePairs(file, options, progress);
  throw new ClozeError("OPTION_CONFLICT", "Pairs come from a file or from the judgements of a test collection", {
    expected: "a file of pairs (and --corpus), or --data (and --split)",
    received:
      [file, data && "--data", split && "--split", corpus && "--corpus"].filter(Boolean).join(", ") || "neither",
    remedy: "Name one of them, with its own options.",
  });
}

function addNegatives(mine: Command): void {
  addTextField(mine.command("negatives"))
    .description("hard negatives for pairs: JSON lines {query, document, negatives, scores} that cloze train takes")
    .argument("[file]", "pairs of a query and a document that answers it")
    .requiredOption(`--model ${modelArgument}`, "the embedder that searches")
    .requiredOption("--out <file>", "the pairs with their negatives")
    .option(
      "--data <folder>",
      "instead of a file: a test collection, as cloze evaluate retrieval takes; its judgements are the pairs, and all its documents are searched",
    )
    .option("--split <name>", "whose judgements (default: train)")
    .option("--corpus <source>", "more texts to search: a file or a folder (default: the documents of the pairs)")
    .option("--negatives <count>", "negatives of a pair", wholeNumber(), 3)
    .option("--range-min <count>", "pass the first so many hits over", wholeNumber(0), 0)
    .addOption(
      new Option("--range-max <count>", "look at so many hits (default: 10 x negatives)").argParser(wholeNumber()),
    )
    .option("--max-score <cosine>", "leave nearer hits out", numberBetween(-1, 1))
    .option("--min-score <cosine>", "leave further hits out", numberBetween(-1, 1))
    .option("--margin <cosine>", "a negative is so much further than the positive", numberBetween(0, 2))
    .option(
      "--relative-margin <share>",
      "the same as a share of the positive's score, such as 0.05",
      numberBetween(0, 1),
    )
    .addOption(new Option("--sampling <how>", "which of the hits are taken").choices(["top", "random"]).default("top"))
    .option("--seed <number>", "decides random choices", wholeNumber(0), 1)
    .action(async (file: string | undefined, options: NegativesOptions) => {
      const progress = progressFor(options);
      const { pairs, corpus } = await minable(file, options, progress);
      const embedder = loadEmbedder(await modelFolder(options.model, options));
      let share = 0;
      const meter = createMeter("mine", () => share);
      const { pairs: mined, counts } = await mineHardNegatives(embedder, pairs, {
        ...options,
        corpus,
        absoluteMargin: options.margin,
        onProgress(done, total) {
          share = done / total;
          progress.update(meter.event(done));
        },
      });
      progress.done();
      embedder.dispose();
      writeLines(
        options.out,
        mined.map((pair) => JSON.stringify(pair)),
      );
      printResult(options, { pairs: mined.length, ...counts, out: options.out }, () =>
        formatTable([
          [`${mined.length} pairs`, options.out],
          ...Object.entries(counts).map(([name, value]) => [name, String(value)]),
        ]),
      );
    });
}

function addDuplicates(mine: Command): void {
  mine
    .command("duplicates")
    .description("keep one of texts that say nearly the same")
    .argument("<file>", "texts: one a line, or rows with a column of texts")
    .requiredOption(`--model ${modelArgument}`, "the embedder that compares")
    .requiredOption("--out <file>", "the texts (or rows, as JSON lines) that are kept")
    .option("--column <name>", "the column of the texts")
    .option("--threshold <cosine>", "from which two texts are duplicates", numberBetween(-1, 1), 0.95)
    .option("--report <file>", "JSON lines {text, of, cosine} of what was left out")
    .action(async (file: string, options: MineOptions & { column?: string; threshold: number; report?: string }) => {
      const { texts, lines } = await readTexts(file, options.column);
      const embedder = loadEmbedder(await modelFolder(options.model, options));
      const { kept, duplicates } = await findDuplicates(embedder, texts, options);
      embedder.dispose();
      writeLines(
        options.out,
        kept.map((i) => lines[i]),
      );
      if (options.report !== undefined) {
        writeLines(
          options.report,
          duplicates.map(({ index, of, cosine }) => JSON.stringify({ text: texts[index], of: texts[of], cosine })),
        );
      }
      const result = { texts: texts.length, kept: kept.length, duplicates: duplicates.length, out: options.out };
      printResult(options, result, () => `${kept.length} of ${texts.length} texts kept, in ${options.out}`);
    });
}

function addSplit(mine: Command): void {
  mine
    .command("split")
    .description("train, dev and test without near-copies on both sides")
    .argument("<file>", "texts: one a line, or rows with a column of texts")
    .requiredOption(`--model ${modelArgument}`, "the embedder that compares")
    .requiredOption("--out <prefix>", "writes <prefix>.train.jsonl, .dev.jsonl and .test.jsonl (.txt for lines)")
    .option("--column <name>", "the column of the texts")
    .option("--dev <share>", "of the texts", numberBetween(0, 1), 0.1)
    .option("--test <share>", "of the texts", numberBetween(0, 1), 0.1)
    .option("--threshold <cosine>", "nearer texts stay together", numberBetween(-1, 1), 0.8)
    .option("--seed <number>", "decides the split", wholeNumber(0), 1)
    .action(
      async (
        file: string,
        options: MineOptions & { column?: string; dev: number; test: number; threshold: number; seed: number },
      ) => {
        const { texts, lines } = await readTexts(file, options.column);
        const embedder = loadEmbedder(await modelFolder(options.model, options));
        const { groups, largestGroup, ...parts } = await semanticSplit(embedder, texts, options);
        embedder.dispose();
        const extension = texts === lines ? "txt" : "jsonl";
        for (const [name, places] of Object.entries(parts)) {
          writeLines(
            `${options.out}.${name}.${extension}`,
            places.map((i) => lines[i]),
          );
        }
        const sizes = { train: parts.train.length, dev: parts.dev.length, test: parts.test.length };
        printResult(options, { ...sizes, groups, largestGroup, out: options.out }, () =>
          formatTable([
            ...Object.entries(sizes).map(([name, size]) => [`${options.out}.${name}.${extension}`, String(size)]),
            ["groups", String(groups)],
            ["largest group", String(largestGroup)],
          ]),
        );
      },
    );
}

/** `cloze mine` */
export function addMine(program: Command): void {
  const mine = program
    .command("mine")
    .description("make training data by an embedder: hard negatives, deduplication, splits");
  for (const add of [addNegatives, addDuplicates, addSplit]) add(mine);
}
