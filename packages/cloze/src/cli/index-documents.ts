import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { type Command, Option } from "commander";
import { readLineBlocks } from "../data/readers/text-blocks.js";
import { createWarnings, type DataWarnings } from "../data/readers/warnings.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { isTokenEncoderFolder, loadTokenEncoder } from "../embedding/token-encoder/token-encoder-folder.js";
import { ClozeError } from "../errors.js";
import type { DocumentStore } from "../retrieval/document-store.js";
import { type EncodedDocuments, type IndexedDocument, searchedText } from "../retrieval/store/document.js";
import type { IndexSettings } from "../retrieval/store/index-settings.js";
import type { TokenFacts } from "../retrieval/store/manifest.js";
import { modelFingerprint } from "../retrieval/store/model-fingerprint.js";
import { type VectorStorage, vectorStorages } from "../retrieval/store/vector-codec.js";
import { isTermWeighterFolder, loadTermWeighter } from "../retrieval/term-weighting/term-weighter-folder.js";
import { type DocumentColumns, fullText, readDocuments } from "../retrieval/test-collection/texts.js";
import { createMeter } from "../training/progress.js";
import { flagOf, numberBetween, partColumn, wholeNumber } from "./arguments.js";
import { noteWarnings } from "./data-options.js";
import { openStore } from "./document-store.js";
import { counting } from "./encoder-option.js";
import { expandDocumentsOption, openExpander } from "./expand-documents-option.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, printResult, progressFor } from "./output.js";
import { isTermEncoderFolder, loadTermEncoder } from "./term-encoders.js";
import { vectorsOf } from "./text-vectors.js";

interface IndexOptions extends CommonOptions {
  out: string;
  model?: string;
  storage: VectorStorage;
  tokenBits: `${TokenFacts["bits"]}`;
  stemmer: "none" | "english";
  stopWords: "none" | "english";
  k1: number;
  b: number;
  batch: number;
  expandDocuments?: string;
  column?: Record<string, string | null>;
  remove?: string;
  resume?: boolean;
  compact?: boolean;
  tokenBudget: number;
}

/** Documents of a file: rows, or (of a .txt file) a document a line. */
async function* documentsOf(
  path: string,
  columns: DocumentColumns | undefined,
  warnings: DataWarnings,
): AsyncGenerator<IndexedDocument> {
  if (!/\.txt(\.gz|\.zst)?$/i.test(path)) {
    yield* readDocuments(path, warnings, { numbered: true, columns });
    return;
  }
  for await (const { lines, first } of readLineBlocks(path, warnings))
    for (const [i, text] of lines.entries())
      if (text.trim() !== "") yield { id: `${basename(path)}:${first + i}`, text };
}

/** `cloze index` */
export function addIndex(program: Command): void {
  program
    .command("index")
    .description(
      "add documents to an index: their words, and with --model their vectors, learned weights of terms or token vectors",
    )
    .argument(
      "[files...]",
      "JSON lines, CSV, TSV or Parquet with text, and id and title where there are; .txt: one a line",
    )
    .requiredOption(
      "--out <folder|url>",
      "the index; made where there is none, else added to (same id: replaced); or postgres://…?schema=name",
    )
    .option(
      `--model ${modelArgument}`,
      "an embedder, for an index of vectors too, an encoder of cloze train --encoder, or a weighter of words of cloze train-retrieval (needed again to add to it)",
    )
    .addOption(new Option("--storage <kind>", "how vectors are kept").choices(vectorStorages).default("float32"))
    .addOption(
      new Option("--token-bits <count>", "of each dimension of token vectors, behind the nearest centroid")
        .choices(["1", "2", "4", "8"])
        .default("2"),
    )
    .addOption(new Option("--stemmer <language>", "of words").choices(["none", "english"]).default("none"))
    .addOption(new Option("--stop-words <language>", "words left out").choices(["none", "english"]).default("none"))
    .option("--k1 <number>", "BM25: how soon repeats stop counting", numberBetween(0), 1.2)
    .option("--b <number>", "BM25: how much long documents are held back", numberBetween(0, 1), 0.75)
    .option("--batch <count>", "documents that are written at a time", wholeNumber(1), 1000)
    .option(...expandDocumentsOption)
    .option(
      "--column <part=name>",
      "the column of text, title or id, if its name does not tell; may be repeated",
      partColumn,
    )
    .option("--remove <file>", "remove the documents whose ids stand there, one a line")
    .option("--resume", "pass over documents whose ids are in the index already")
    .option("--compact", "rewrite the index without what was replaced or removed")
    .option("--token-budget <count>", "tokens per forward pass", wholeNumber(1), 4096)
    .action((files: string[], options: IndexOptions, command: Command) => {
      const told = madeWith.filter((name) => command.getOptionValueSource(name) === "cli");
      return indexDocuments(files, options, told);
    });
}

/** What a model gives of documents. */
interface DocumentEncoder {
  readonly fingerprint: string;
  readonly settings: Pick<IndexSettings, "vectors" | "weights" | "tokens">;
  encode(documents: readonly IndexedDocument[]): Promise<EncodedDocuments>;
  dispose(): void;
}

/** What is read of a document by models that need no more words. */
const plainText = ({ title = "", text }: IndexedDocument): string => fullText({ title, text });

function encoderOf(folder: string, options: IndexOptions, warnings: DataWarnings): DocumentEncoder {
  const fingerprint = modelFingerprint(folder);
  const model = { model: resolve(folder), fingerprint };
  if (isTermEncoderFolder(folder)) {
    const encoder = loadTermEncoder(folder);
    const counted = counting(encoder, { warnings });
    return {
      fingerprint,
      settings: { weights: model },
      encode: async (documents) => ({ weights: counted.encode(documents.map(searchedText)) }),
      dispose: () => encoder.dispose(),
    };
  }
  if (isTermWeighterFolder(folder)) {
    const weighter = loadTermWeighter(folder);
    const counted = counting(weighter, { warnings, tokenBudget: options.tokenBudget });
    return {
      fingerprint,
      settings: { weights: { ...model, terms: "words" } },
      encode: async (documents) => ({ weights: counted.encode(documents.map(searchedText)) }),
      dispose: () => weighter.dispose(),
    };
  }
  if (isTokenEncoderFolder(folder)) {
    const encoder = loadTokenEncoder(folder);
    const counted = counting(encoder, { warnings, tokenBudget: options.tokenBudget });
    return {
      fingerprint,
      settings: { tokens: { ...model, width: encoder.width, bits: Number(options.tokenBits) as TokenFacts["bits"] } },
      encode: async (documents) => ({ tokens: counted.encode(documents.map(plainText)) }),
      dispose: () => encoder.dispose(),
    };
  }
  const embedder = loadEmbedder(folder);
  const vectors = vectorsOf(embedder, { ...options, warnings });
  return {
    fingerprint,
    settings: { vectors: { ...model, width: embedder.width, storage: options.storage } },
    encode: async (documents) => ({ vectors: await vectors.embed(documents.map(plainText), "document") }),
    dispose: () => embedder.dispose(),
  };
}

/** Options that hold for the whole index, once it is made. */
const madeWith = ["storage", "tokenBits", "stemmer", "stopWords", "k1", "b"] as const;

/** Refuses options that were told and that an index was not made with. @throws INDEX_SETTINGS */
function checkSettings(
  options: IndexOptions,
  { analyzer, bm25, vectors, tokens }: DocumentStore["settings"],
  told: readonly (typeof madeWith)[number][],
): void {
  const known: Partial<Record<(typeof madeWith)[number], string | number>> = {
    ...analyzer,
    ...bm25,
    storage: vectors?.storage,
    tokenBits: tokens?.bits,
  };
  const other = told.filter((name) => known[name] !== undefined && String(known[name]) !== String(options[name]));
  if (other.length === 0) return;
  throw new ClozeError("INDEX_SETTINGS", `${options.out} was made with other settings`, {
    expected: other.map((name) => `${flagOf(name)} ${known[name]}`).join(", "),
    received: other.map((name) => `${flagOf(name)} ${options[name]}`).join(", "),
    remedy: "Leave them out, or make another index.",
  });
}

async function openFor(
  options: IndexOptions,
  warnings: DataWarnings,
): Promise<{ index: DocumentStore; encoder?: DocumentEncoder }> {
  const folder = options.model === undefined ? undefined : await modelFolder(options.model, options);
  const encoder = folder === undefined ? undefined : encoderOf(folder, options, warnings);
  const index = await openStore(options.out, {
    write: true,
    create: { analyzer: options, bm25: options, ...encoder?.settings },
    fingerprint: encoder?.fingerprint,
  });
  const known = index.settings.vectors ?? index.settings.weights ?? index.settings.tokens;
  if ((known === undefined) !== (encoder === undefined)) {
    await index.close();
    throw new ClozeError("INDEX_MODEL", `${options.out} holds ${encoder ? "words only" : "what a model made"}`, {
      expected: encoder ? "no --model" : `--model ${known?.model ?? ""}`,
      received: encoder ? "a model" : "none",
      remedy: "Add documents as the index was made, or make another.",
    });
  }
  return { index, encoder };
}

async function indexDocuments(
  files: readonly string[],
  options: IndexOptions,
  told: readonly (typeof madeWith)[number][],
): Promise<void> {
  if (files.length === 0 && options.remove === undefined && options.compact !== true) {
    throw new ClozeError("NO_DOCUMENTS", "There is nothing to index", {
      remedy: "Name files of documents, or --remove, or --compact.",
    });
  }
  const progress = progressFor(options);
  const warnings = createWarnings();
  const expander = await openExpander(options, warnings);
  const { index, encoder } = await openFor(options, warnings);
  try {
    checkSettings(options, index.settings, told);
  } catch (error) {
    await index.close();
    throw error;
  }
  const meter = createMeter("index", () => 0);
  const start = performance.now();
  let [added, passed, removed] = [0, 0, 0];
  let size = 0;
  let stopped = false;
  const stop = () => {
    stopped = true;
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  let batch: IndexedDocument[] = [];
  const flush = async () => {
    if (options.resume === true) {
      const there = await index.has(batch.map(({ id }) => id));
      const missing = batch.filter(({ id }) => !there.has(id));
      passed += batch.length - missing.length;
      expander?.passOver(there);
      batch = missing;
    }
    if (expander !== undefined) batch = expander.expand(batch);
    if (batch.length > 0) await index.add(batch, await encoder?.encode(batch));
    added += batch.length;
    batch = [];
    progress.update(meter.event(added));
    // A signal is heard between two turns of the loop of events.
    await new Promise((resume) => setImmediate(resume));
  };
  try {
    if (options.remove !== undefined) {
      const ids = readFileSync(options.remove, "utf8").split(/\r?\n/);
      removed = await index.remove(ids.filter((id) => id !== ""));
    }
    const seen = new Set<string>();
    for (const file of files) {
      for await (const document of documentsOf(file, options.column, warnings)) {
        if (stopped) break;
        if (seen.has(document.id))
          warnings.add("DATA_ID_DUPLICATE", "ids that occur again; the last counts", `${file} (${document.id})`);
        seen.add(document.id);
        batch.push(document);
        if (batch.length >= options.batch) await flush();
      }
    }
    if (!stopped) await flush();
    if (options.compact === true && !stopped) await index.compact();
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, stop);
    size = await index.size().finally(() => index.close());
  }
  progress.done();
  encoder?.dispose();
  expander?.close(!stopped);
  const seconds = (performance.now() - start) / 1000;
  for (const { code, message, count, first } of index.warnings()) warnings.add(code, message, first, count);
  noteWarnings(progress, warnings.list());
  if (stopped) process.exitCode = 130;
  printResult(
    options,
    {
      out: options.out,
      documents: size,
      added,
      removed,
      passedOver: passed,
      expanded: expander?.expanded,
      seconds,
      documentsPerSecond: added / seconds,
      interrupted: stopped || undefined,
      warnings: warnings.list(),
    },
    () =>
      stopped
        ? `Stopped; ${added} documents are in ${options.out}. The same command with --resume goes on.`
        : `${added} documents added, ${size} in ${options.out}, ${Math.round(added / seconds)} documents/s`,
  );
}
