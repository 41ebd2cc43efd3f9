// Options of `cloze pretrain` about its texts: how they are read, what is left out, how sources are mixed.
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { buildCorpus, type Corpus, type Deduplication, type DocumentUnit, totalOf } from "../data/corpus/index.js";
import type { Tokenizer } from "../text/index.js";
import { formatBytes, formatCount, formatDuration, type ProgressReporter } from "../training/progress.js";
import { numberBetween, wholeNumber } from "./arguments.js";
import { addTextField, type TextFieldOptions } from "./corpus-texts.js";
import { noteWarnings } from "./data-options.js";

export interface CorpusOptions extends TextFieldOptions {
  documents: DocumentUnit;
  deduplicate: Deduplication;
  nearThreshold: number;
  weights?: number[];
  crossDocuments?: boolean;
  validationShare: number;
  corpus?: string;
  workers?: number;
}

function weightList(text: string): number[] {
  const weights = text.split(",").map(Number);
  if (weights.every((weight) => weight >= 0 && Number.isFinite(weight)) && weights.some((weight) => weight > 0)) {
    return weights;
  }
  throw new InvalidArgumentError("Numbers from 0 are needed, such as 0.7,0.3.");
}

/** Adds --documents, --text-field, --deduplicate, --weights, --cross-documents, --validation-share and their like. */
export const withCorpusOptions = (command: Command): Command =>
  addTextField(command)
    .addOption(
      new Option(
        "--documents <unit>",
        "what a document is in a text file: a line, what blank lines enclose, or the file",
      )
        .choices(["line", "blank", "file"])
        .default("line"),
    )
    .addOption(
      new Option("--deduplicate <kind>", "leave out documents that repeat an earlier one, exactly or nearly")
        .choices(["none", "exact", "near"])
        .default("none"),
    )
    .option("--near-threshold <share>", "overlap from which documents are nearly the same", numberBetween(0.1, 1), 0.8)
    .option("--weights <numbers>", "shares of the sources in what is seen, in their order: 0.7,0.3", weightList)
    .option("--cross-documents", "sequences run on from one document into the next")
    .option(
      "--validation-share <share>",
      "documents that are held out, to measure the loss",
      numberBetween(0, 0.5),
      0.005,
    )
    .option("--corpus <folder>", "where the tokenized texts are kept (default: corpus in --out); runs may share it")
    .option("--workers <count>", "threads that tokenize (default: all)", wholeNumber(0));

/** What a corpus holds, in a line. */
function describe({ manifest }: Corpus): string {
  const [training, validation, duplicates] = (["training", "validation", "duplicates"] as const).map((kind) =>
    totalOf(manifest, kind),
  );
  const facts = [`${training.documents} documents, ${training.tokens} tokens`];
  if (validation.documents > 0) facts.push(`${validation.documents} documents held out`);
  if (duplicates.documents > 0) facts.push(`${duplicates.documents} left out as duplicates`);
  return facts.join("; ");
}

/**
 * Tokenizes the sources of a run, or opens what an earlier run has made of them.
 *
 * @throws what `buildCorpus` throws
 */
export async function corpusFor(
  sources: readonly string[],
  tokenizer: Tokenizer,
  options: CorpusOptions & { out: string; resume?: boolean },
  progress: ProgressReporter,
): Promise<Corpus> {
  const { documents, textField, deduplicate, nearThreshold, validationShare, workers } = options;
  const start = performance.now();
  const { corpus, built } = await buildCorpus({
    sources,
    tokenizer,
    folder: options.corpus ?? join(options.out, "corpus"),
    documents,
    textField,
    deduplicate,
    ...(deduplicate === "near" ? { nearThreshold } : {}),
    validationShare,
    workers,
    // A folder that is shared is never made anew for another corpus.
    resume: options.resume === true || options.corpus !== undefined,
    onProgress({ bytes, totalBytes, tokens }) {
      const elapsed = (performance.now() - start) / 1000;
      const fraction = bytes / Math.max(1, totalBytes);
      progress.update({
        task: "tokenize",
        fraction,
        step: tokens,
        tokensPerSecond: tokens / elapsed,
        elapsed,
        remaining: (elapsed * (1 - fraction)) / Math.max(1e-9, fraction),
        residentBytes: process.memoryUsage.rss(),
      });
    },
  });
  progress.done();
  const { manifest } = corpus;
  noteWarnings(progress, manifest.warnings);
  if (built) {
    const bytes = manifest.sources.reduce((sum, source) => sum + source.bytes, 0);
    const files = manifest.sources.reduce((sum, source) => sum + source.files, 0);
    const seconds = (performance.now() - start) / 1000;
    const tokens = manifest.shards.reduce((sum, shard) => sum + shard.tokens, 0);
    progress.note(
      `${files} file(s), ${formatBytes(bytes)} tokenized in ${formatDuration(seconds)}, ` +
        `${formatCount(tokens / seconds)} tokens/s`,
    );
  }
  progress.note(describe(corpus));
  return corpus;
}
