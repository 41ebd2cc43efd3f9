// SciFact laid out for training and choosing: four of five training claims train, the fifth chooses, the test claims are scored
// once. And the command, whose result is read.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));
const source = join(root, "..", "shared", "data", "scifact");

/** The checkpoint of ../shared. */
export const model = join(root, "..", "shared", "models", "all-MiniLM-L6-v2");

/**
 * Lays the collection out with the splits train, dev and test, and the pairs of train in pairs.jsonl; in --keep, else in a folder
 * that is removed at the end.
 */
export function prepare() {
  if (![source, model].every((path) => existsSync(path))) {
    console.error("The checkpoint and the data of ../shared are not here, so there is nothing to measure.");
    process.exit(1);
  }
  const keep = process.argv.indexOf("--keep");
  const work = keep < 0 ? mkdtempSync(join(tmpdir(), "cloze-scifact-")) : process.argv[keep + 1];
  mkdirSync(join(work, "qrels"), { recursive: true });
  if (keep < 0) process.on("exit", () => rmSync(work, { recursive: true, force: true }));
  const lines = (name) => readFileSync(join(source, name), "utf8").trim().split("\n");
  const judgements = (name) => lines(name).filter((line) => /^\d/.test(line));
  const head = "query-id\tcorpus-id\tscore";
  const write = (name, rows) => writeFileSync(join(work, name), `${rows.join("\n")}\n`);
  copyFileSync(join(source, "corpus.jsonl.gz"), join(work, "corpus.jsonl.gz"));
  write("queries.jsonl", [...lines("queries_train.jsonl"), ...lines("queries_test.jsonl")]);
  const training = judgements("qrels_train.tsv");
  const claimOf = (line) => line.split("\t")[0];
  const claims = [...new Set(training.map(claimOf))];
  const chosen = new Set(claims.filter((_, i) => i % 5 === 4));
  write("qrels/train.tsv", [head, ...training.filter((line) => !chosen.has(claimOf(line)))]);
  write("qrels/dev.tsv", [head, ...training.filter((line) => chosen.has(claimOf(line)))]);
  write("qrels/test.tsv", [head, ...judgements("qrels_test.tsv")]);
  // Searched once for both, then scored apart.
  const held = training.filter((line) => chosen.has(claimOf(line)));
  write("qrels/held.tsv", [head, ...held, ...judgements("qrels_test.tsv")]);
  const parse = (rows) => rows.map((row) => JSON.parse(row));
  const corpus = gunzipSync(readFileSync(join(source, "corpus.jsonl.gz")))
    .toString()
    .trim()
    .split("\n");
  const documents = new Map(parse(corpus).map(({ _id, title, text }) => [_id, `${title} ${text}`]));
  const queries = new Map(parse(lines("queries_train.jsonl")).map(({ _id, text }) => [_id, text]));
  const trained = training.filter((line) => !chosen.has(claimOf(line))).map((line) => line.split("\t"));
  const pairs = trained.map(([query, document]) => ({ query: queries.get(query), document: documents.get(document) }));
  write(
    "pairs.jsonl",
    pairs.map((pair) => JSON.stringify(pair)),
  );
  return work;
}

/** What the command says with --json. */
export function cloze(...args) {
  const main = join(root, "packages/cloze/dist/cli/main.js");
  const { status, stdout } = spawnSync(process.execPath, [main, ...args, "--json"], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) process.exit(1);
  return JSON.parse(stdout);
}
