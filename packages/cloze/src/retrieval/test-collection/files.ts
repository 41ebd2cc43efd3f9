// Which files of a folder hold the documents, queries and judgements of a test collection.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ClozeError } from "../../errors.js";

/** Files of a test collection. */
export interface CollectionFiles {
  readonly corpus: string;
  readonly queries: string;
  readonly qrels: string;
  /** The split that the judgements are of; undefined where there is but one file of them. */
  readonly split?: string;
}

const endings = ["jsonl", "tsv", "csv", "json", "ndjson", "parquet", "txt", "trec", "qrels", "qrel"];
const packings = ["", ".gz", ".zst"];

const listing = (folder: string): string[] => {
  const stats = statSync(folder, { throwIfNoEntry: false });
  return stats?.isDirectory() === true ? readdirSync(folder).sort() : [];
};

/** The file in a folder that has one of some names, whatever its ending. */
function fileOf(folder: string, names: readonly string[]): string | undefined {
  const here = new Set(listing(folder));
  for (const name of names) {
    for (const ending of endings) {
      for (const packing of packings) {
        const file = `${name}.${ending}${packing}`;
        if (here.has(file) && statSync(join(folder, file)).isFile()) return join(folder, file);
      }
    }
  }
  return undefined;
}

const bare = (name: string): string | undefined =>
  new RegExp(`^(.+)\\.(?:${endings.join("|")})(?:\\.gz|\\.zst)?$`).exec(name)?.[1];

/** Names of the splits that a folder has judgements of. */
export function splitsOf(folder: string): string[] {
  const nested = listing(join(folder, "qrels")).flatMap((name) => bare(name) ?? []);
  const flat = listing(folder).flatMap((name) => /^qrels[._-](.+)$/.exec(bare(name) ?? "")?.[1] ?? []);
  return [...new Set([...nested, ...flat])];
}

function missing(folder: string, what: string, expected: string, remedy: string): ClozeError {
  return new ClozeError("COLLECTION_FILE", `${folder} has no ${what}`, {
    expected,
    received: listing(folder).slice(0, 20).join(", ") || "an empty folder",
    remedy,
  });
}

const forms = (name: string, split: string): string[] => [`${name}_${split}`, `${name}-${split}`, `${name}.${split}`];

/** The judgements of a split; undefined where there are none. */
export const qrelsFile = (folder: string, split: string): string | undefined =>
  fileOf(join(folder, "qrels"), [split]) ?? fileOf(folder, forms("qrels", split));

/** The queries of a split, or those of all splits. */
export const queriesFile = (folder: string, split: string): string | undefined =>
  fileOf(join(folder, "queries"), [split]) ??
  fileOf(folder, forms("queries", split)) ??
  fileOf(folder, ["queries", "topics"]);

/**
 * Finds the files of a test collection: as BEIR lays them (`corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv`), flat
 * (`queries_test.jsonl`, `qrels_test.tsv`), or without splits (`qrels.tsv`); also as TSV, CSV, JSON or Parquet, plain or
 * packed.
 *
 * @param split "test" unless told; a split that was not asked for may be missing where the folder has but one
 * @throws COLLECTION_FILE, COLLECTION_SPLIT
 */
export function findCollection(folder: string, split?: string): CollectionFiles {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new ClozeError("COLLECTION_FILE", `There is no folder ${folder}`, {
      expected: "a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv",
      received: existsSync(folder) ? "a file" : "nothing",
      remedy: "Check the path.",
    });
  }
  const corpus = fileOf(folder, ["corpus", "documents", "docs", "collection"]);
  if (corpus === undefined)
    throw missing(folder, "documents", "corpus.jsonl (or .jsonl.gz, .tsv, …)", "Name the file corpus.jsonl.");
  const wanted = split ?? "test";
  const splits = splitsOf(folder);
  let qrels = qrelsFile(folder, wanted);
  let found: string | undefined = wanted;
  if (qrels === undefined && (split === undefined || splits.length === 0)) {
    qrels = fileOf(folder, ["qrels"]) ?? (splits.length === 1 ? qrelsFile(folder, splits[0]) : undefined);
    found = fileOf(folder, ["qrels"]) === undefined ? splits[0] : undefined;
  }
  if (qrels === undefined) {
    if (splits.length === 0)
      throw missing(folder, "judgements", `qrels/${wanted}.tsv, qrels_${wanted}.tsv or qrels.tsv`, "Add one of them.");
    throw new ClozeError("COLLECTION_SPLIT", `${folder} has no judgements of the split ${wanted}`, {
      expected: splits.join(", "),
      received: wanted,
      remedy: "Choose one with --split.",
    });
  }
  const queries = queriesFile(folder, found ?? wanted);
  if (queries === undefined)
    throw missing(folder, "queries", `queries.jsonl or queries_${found ?? wanted}.jsonl`, "Add one of them.");
  return { corpus, queries, qrels, split: found };
}
