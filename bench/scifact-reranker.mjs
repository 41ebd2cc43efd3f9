// A reranker trained on SciFact's training claims, beside the search whose documents it puts into a new order:
//   node bench/scifact-reranker.mjs [--keep folder]
// Four of five training claims train a cross-encoder from the checkpoint of ../shared, the fifth chooses how much the scores
// before count, and the test claims are scored once. About ten minutes on two cores. Needs ../shared; says so where it is not.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const source = join(root, "..", "shared", "data", "scifact");
const model = join(root, "..", "shared", "models", "all-MiniLM-L6-v2");
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

function cloze(...args) {
  const main = join(root, "packages/cloze/dist/cli/main.js");
  const { status, stdout } = spawnSync(process.execPath, [main, ...args, "--json"], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) process.exit(1);
  return JSON.parse(stdout);
}
const run = (split) => join(work, `${split}.trec`);
const search = (split, ...more) =>
  cloze(
    ...["evaluate", "retrieval", "--data", work, "--split", split, "--model", model, "--pipeline", "hybrid"],
    ...["--weights", "0.4,0.6", "--depth", "200", "--run", run(split), ...more],
  );
const rows = join(work, "candidates.jsonl");
search("train", "--write-candidates", rows, "--candidates", "5");
search("dev");
const hybrid = search("test");
const reranker = join(work, "reranker");
cloze(
  ...["finetune", "--task", "ranking", "--model", model, "--train", rows, "--out", reranker, "--set", "loss=listwise"],
  ...[
    "--epochs",
    "2",
    "--batch-size",
    "8",
    "--max-length",
    "160",
    "--learning-rate",
    "5e-5",
    "--checkpoint-minutes",
    "0",
  ],
);
const rerank = (split, ...more) =>
  cloze(
    ...["rerank", "--model", reranker, "--data", work, "--split", split, "--run", run(split), "--rerank-depth", "20"],
    ...more,
  );
const { firstStageWeight } = rerank("dev", "--choose-weight");
const alone = rerank("test");
const both = rerank("test", "--first-stage-weight", String(firstStageWeight));
console.log(
  JSON.stringify({
    hybrid: hybrid["ndcg@10"],
    rerankerAlone: alone["ndcg@10"],
    firstStageWeight,
    reranked: both["ndcg@10"],
  }),
);
