// Texts of any size become a corpus on disk: read in parts, tokenized in threads, looked through for duplicates, split.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import type { Tokenizer } from "../../text/index.js";
import { createWarnings, type DataWarnings } from "../readers/warnings.js";
import {
  type Corpus,
  type CorpusCounts,
  type CorpusManifest,
  type CorpusSourceInfo,
  documentStates,
  manifestName,
  openCorpus,
  statesName,
} from "./corpus.js";
import { type CorpusFile, findCorpusFiles } from "./corpus-files.js";
import { type CorpusPart, partsOf, type ReadDocumentsOptions } from "./documents.js";
import { findExactDuplicates, findNearDuplicates, type HashedShards } from "./duplicates.js";
import { openShard, type ShardInfo } from "./shard-file.js";
import { tokenizeParts } from "./tokenize-parts.js";

/** What is left out: nothing, documents with the tokens of an earlier one, or those that overlap an earlier one as well. */
export type Deduplication = "none" | "exact" | "near";

export interface BuildCorpusOptions extends ReadDocumentsOptions {
  /** Sources: files, folders or patterns. Each is mixed by its own weight later. */
  readonly sources: readonly string[];
  readonly tokenizer: Tokenizer;
  /** Where the corpus goes. */
  readonly folder: string;
  /** Default "none". */
  readonly deduplicate?: Deduplication;
  /** Overlap from which two documents are nearly the same. Default 0.8. */
  readonly nearThreshold?: number;
  /** Share of the documents that is held out, by the hash of their tokens, so that duplicates stand on one side. Default 0. */
  readonly validationShare?: number;
  /** Go on with what the folder holds, and refuse when the texts are others than they were. */
  readonly resume?: boolean;
  /** Threads. Default: as many as the machine runs at a time; 0: none. */
  readonly workers?: number;
  /** Called as parts are done. */
  readonly onProgress?: (progress: {
    readonly bytes: number;
    readonly totalBytes: number;
    readonly tokens: number;
  }) => void;
}

export interface BuiltCorpus {
  readonly corpus: Corpus;
  /** False when the folder held it already. */
  readonly built: boolean;
}

const planName = "plan.json";

/** What the tokens of a corpus depend on. */
export interface CorpusPlan {
  readonly fingerprint: string;
  readonly files: readonly { readonly path: string; readonly fingerprint: string }[];
}

/** The plan of a corpus of these files, source by source. */
export function planOf(
  files: readonly CorpusFile[][],
  options: Pick<BuildCorpusOptions, "tokenizer" | "deduplicate" | "nearThreshold" | "validationShare"> &
    ReadDocumentsOptions,
): CorpusPlan {
  const { documents, textField, deduplicate, nearThreshold, validationShare, partBytes, tokenizer } = options;
  const settings = { partBytes, documents, textField, deduplicate, nearThreshold, validationShare };
  const listed = files.map((source) => source.map(({ fingerprint }) => fingerprint));
  const fingerprint = createHash("sha256")
    .update(JSON.stringify([1, settings, listed]))
    .update(JSON.stringify(tokenizer.toJson()))
    .digest("hex")
    .slice(0, 16);
  return { fingerprint, files: files.flat().map(({ path, fingerprint: print }) => ({ path, fingerprint: print })) };
}

/** CORPUS_CHANGED, with what is another than it was. */
export function changed(before: CorpusPlan, now: CorpusPlan): ClozeError {
  const known = new Map(before.files.map(({ path, fingerprint }) => [path, fingerprint]));
  const others = now.files.filter(({ path, fingerprint }) => known.get(path) !== fingerprint).map(({ path }) => path);
  const gone = before.files.filter(({ path }) => !now.files.some((file) => file.path === path)).map(({ path }) => path);
  const names = [...others, ...gone];
  return new ClozeError(
    "CORPUS_CHANGED",
    "The corpus is another one than when the run began; its checkpoint is intact",
    {
      expected: `the texts, the tokenizer and the options of the first run (${before.files.length} file(s))`,
      received:
        names.length > 0
          ? `${names.length} file(s) changed, new or gone, such as ${names[0]}`
          : "another tokenizer, or other options of the corpus",
      remedy: "Put them back to go on, or start a new run from the saved model with --model and another --out.",
    },
  );
}

function readPlan(folder: string): CorpusPlan | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, planName), "utf8")) as CorpusPlan;
  } catch {
    return undefined;
  }
}

/** Documents of all shards, as the search for duplicates reads them. */
function hashedShards(folder: string, shards: readonly ShardInfo[]): HashedShards {
  const starts = [0];
  for (const { documents } of shards) starts.push(starts[starts.length - 1] + documents);
  const reading = <T>(shard: number, read: (file: ReturnType<typeof openShard>) => T): T => {
    const file = openShard(join(folder, shards[shard].name));
    try {
      return read(file);
    } finally {
      file.close();
    }
  };
  return {
    starts,
    hashes: (shard) => reading(shard, (file) => file.hashes()),
    signatures: (shard) => reading(shard, (file) => file.signatures()),
  };
}

/** Gives each document its state. [documents] */
export function statesOf(
  hashed: HashedShards,
  options: Pick<BuildCorpusOptions, "deduplicate" | "nearThreshold" | "validationShare" | "sources">,
  warnings: DataWarnings,
): Uint8Array {
  const { deduplicate = "none", nearThreshold = 0.8, validationShare = 0, sources } = options;
  const { starts } = hashed;
  const total = starts[starts.length - 1];
  const states = new Uint8Array(total);
  let repeated = 0;
  findExactDuplicates(hashed, (document) => {
    repeated++;
    if (deduplicate !== "none") states[document] = documentStates.duplicate;
  });
  if (deduplicate === "none" && total >= 8 && repeated > total / 2) {
    const message = "documents repeat an earlier one (--deduplicate exact leaves them out)";
    warnings.add("CORPUS_REPEATED", message, sources[0], repeated);
  }
  if (deduplicate === "near") {
    const isLeftOut = (document: number): boolean => states[document] === documentStates.duplicate;
    findNearDuplicates(hashed, nearThreshold, isLeftOut, (document) => {
      states[document] = documentStates.duplicate;
    });
  }
  if (validationShare > 0) holdOut(hashed, states, validationShare, warnings, sources[0]);
  return states;
}

/** Marks the documents whose hash falls under the share; at least one, and never all. */
function holdOut(hashed: HashedShards, states: Uint8Array, share: number, warnings: DataWarnings, place: string): void {
  const { starts } = hashed;
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  const visit = (use: (document: number, hash: number) => void): void => {
    for (let shard = 0; shard + 1 < starts.length; shard++) {
      const hashes = hashed.hashes(shard);
      for (let i = 0; i < starts[shard + 1] - starts[shard]; i++) use(starts[shard] + i, hashes[2 * i + 1]);
    }
  };
  visit((document, hash) => {
    if (states[document] !== documentStates.training) return;
    least = Math.min(least, hash);
    most = Math.max(most, hash);
  });
  if (least >= most) {
    const message = "the corpus has one document only (or one that repeats): nothing is held out";
    warnings.add("CORPUS_NO_VALIDATION", message, place);
    return;
  }
  const limit = Math.min(most - 1, Math.max(least, share * 2 ** 32));
  visit((document, hash) => {
    if (states[document] === documentStates.training && hash <= limit) states[document] = documentStates.validation;
  });
}

interface SourceParts {
  readonly path: string;
  readonly bytes: number;
  readonly files: number;
  readonly parts: readonly CorpusPart[];
}

/** Counts documents and tokens of each source by what they are for. */
function countSources(
  sources: readonly SourceParts[],
  shardsOfSources: readonly (readonly ShardInfo[])[],
  folder: string,
  states: Uint8Array,
): CorpusSourceInfo[] {
  let first = 0;
  let document = 0;
  return sources.map(({ path, bytes, files }, s) => {
    const counts: { documents: number; tokens: number }[] = Array.from({ length: 3 }, () => ({
      documents: 0,
      tokens: 0,
    }));
    for (const { name, documents } of shardsOfSources[s]) {
      const file = openShard(join(folder, name));
      const ends = file.ends(0, documents);
      file.close();
      for (let i = 0; i < documents; i++) {
        const count = counts[states[document++]];
        count.documents++;
        count.tokens += ends[i + 1] - ends[i];
      }
    }
    const [training, validation, duplicates]: CorpusCounts[] = counts;
    const shards = [first, first + shardsOfSources[s].length] as const;
    first = shards[1];
    return { path, bytes, files, training, validation, duplicates, shards };
  });
}

/**
 * Makes a corpus of texts: files, folders and patterns of text, JSON lines, Parquet, CSV or TSV, packed or not, of any size.
 * Parts of 16 MiB are read and tokenized side by side; memory does not grow with the corpus. A folder that holds the same
 * corpus already is opened as it is, and an interrupted build goes on where it was. The result does not depend on the number
 * of threads.
 *
 * @throws CORPUS_FILE_MISSING, CORPUS_EMPTY, CORPUS_TEXT_FIELD, CORPUS_FORMAT, CORPUS_CHANGED on `resume`, FILE_WRITE, DISK_FULL
 * @example
 * const { corpus } = await buildCorpus({ sources: ["books", "news.jsonl"], tokenizer, folder: "run/corpus" });
 */
export async function buildCorpus(options: BuildCorpusOptions): Promise<BuiltCorpus> {
  const { folder, resume = false, deduplicate = "none" } = options;
  const warnings = createWarnings();
  const files = options.sources.map((source) => findCorpusFiles([source], warnings));
  const plan = planOf(files, options);
  const before = readPlan(folder);
  if (before !== undefined && before.fingerprint !== plan.fingerprint) {
    if (resume) throw changed(before, plan);
    removeCorpus(folder);
  }
  if (before?.fingerprint === plan.fingerprint && existsSync(join(folder, manifestName))) {
    return { corpus: openCorpus(folder), built: false };
  }
  const sources: SourceParts[] = [];
  for (const [i, path] of options.sources.entries()) {
    const bytes = files[i].reduce((sum, file) => sum + file.bytes, 0);
    sources.push({ path, bytes, files: files[i].length, parts: await partsOf(files[i], options) });
  }
  mkdirSync(folder, { recursive: true });
  writeFileAtomic(join(folder, planName), JSON.stringify(plan));
  const totalBytes = sources.reduce((sum, { bytes }) => sum + bytes, 0);
  const parts = sources.flatMap((source) => source.parts);
  let [bytes, tokens] = [0, 0];
  const tokenized = await tokenizeParts(parts, options.tokenizer, {
    folder,
    documents: options.documents,
    textField: options.textField,
    signatures: deduplicate === "near",
    workers: options.workers ?? availableParallelism(),
    onPart(result, partBytes) {
      bytes += partBytes;
      tokens += result.shards.reduce((sum, shard) => sum + shard.tokens, 0);
      options.onProgress?.({ bytes, totalBytes, tokens });
    },
  });
  for (const { code, message, first, count } of tokenized.flatMap((part) => part.warnings)) {
    warnings.add(code, message, first, count);
  }
  const shards = tokenized.flatMap((part) => part.shards);
  if (shards.length === 0) {
    removeCorpus(folder);
    throw new ClozeError("CORPUS_EMPTY", `There is no text in ${options.sources.join(", ")}`, {
      expected: "at least one document with a token",
      received: "blank lines only",
      remedy: "Check what was to write the files.",
    });
  }
  let at = 0;
  const shardsOfSources = sources.map((source) => {
    const own = tokenized.slice(at, at + source.parts.length).flatMap((part) => part.shards);
    at += source.parts.length;
    return own;
  });
  const states = statesOf(hashedShards(folder, shards), options, warnings);
  const manifest: CorpusManifest = {
    version: 1,
    fingerprint: plan.fingerprint,
    sources: countSources(sources, shardsOfSources, folder, states),
    shards,
    warnings: warnings.list(),
  };
  writeFileAtomic(join(folder, statesName), states);
  writeFileAtomic(join(folder, manifestName), JSON.stringify(manifest));
  for (const name of readdirSync(folder))
    if (/^part-\d+\.json$/.test(name)) rmSync(join(folder, name), { force: true });
  return { corpus: openCorpus(folder), built: true };
}

/** Files that this module writes: no other is ever removed. */
const isOurs = (name: string): boolean =>
  /^part-\d+(-\d+\.bin|\.json)$/.test(name) || [manifestName, statesName, planName].includes(name);

function removeCorpus(folder: string): void {
  const names = readdirSync(folder);
  for (const name of names) if (isOurs(name)) rmSync(join(folder, name), { force: true });
  if (names.every(isOurs)) rmdirSync(folder);
}
