// A reranker trained on SciFact's training claims, beside the search whose documents it puts into a new order:
//   node bench/scifact-reranker.mjs [--keep folder]
// Four of five training claims train a cross-encoder from the checkpoint of ../shared, the fifth chooses how much the scores
// before count, and the test claims are scored once. About ten minutes on two cores. Needs ../shared; says so where it is not.
import { join } from "node:path";
import { cloze, model, prepare } from "./scifact-data.mjs";

const work = prepare();
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
