// Parts of a search that learn, trained by commands on SciFact's training claims from the checkpoint of ../shared:
//   node bench/scifact-parts.mjs [--keep folder] [--parts dense,colbert,splade,unicoil,deepimpact,early-exit]
// Four of five training claims train, the fifth chooses the weight of a first stage (settings were tried on it, too), the test
// claims are scored once. A line of JSON for each part, with what each command was; two to ten minutes each on two cores, SPLADE
// a quarter of an hour. Needs ../shared; says so where it is not.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cloze, model, prepare } from "./scifact-data.mjs";

const work = prepare();
const at = (name) => join(work, name);
const commands = [];
function run(...args) {
  commands.push(["cloze", ...args].join(" ").replaceAll(work, "DATA").replaceAll(model, "all-MiniLM-L6-v2"));
  return cloze(...args, "--quiet");
}
const measures = (result) => ({ "ndcg@10": result["ndcg@10"], "recall@100": result["recall@100"] });
/** Figures of a search, on the claims that chose and on those of the test. Documents are read once for both. */
function evaluate(...options) {
  run("evaluate", "retrieval", "--data", work, "--split", "held", ...options, "--run", at("held.trec"));
  const score = (split) =>
    measures(run("evaluate", "retrieval", "--data", work, "--split", split, "--read-run", at("held.trec")));
  return { dev: score("dev"), test: score("test") };
}
const words = ["--pipeline", "bm25", "--stemmer", "english", "--stop-words", "english", "--depth", "100"];

/** A reranker over the first ten documents of BM25. */
function rerank(part, ...options) {
  const first = Object.fromEntries(
    ["dev", "test"].map((split) => {
      const found = ["--split", split, ...words, "--run", at(`bm25-${split}.trec`)];
      return [split, measures(run("evaluate", "retrieval", "--data", work, ...found))];
    }),
  );
  train(part, "3", ...options);
  const order = (split, ...more) =>
    run(
      ...["rerank", "--model", at(part), "--data", work, "--split", split, "--run", at(`bm25-${split}.trec`)],
      ...["--rerank-depth", "10", ...more],
    );
  const dev = order("dev", "--choose-weight");
  const weight = String(dev.firstStageWeight);
  return { first, weight, dev: measures(dev), test: measures(order("test", "--first-stage-weight", weight)) };
}

const train = (part, others, ...options) =>
  run(
    ...["train-retrieval", "--part", part, "--data", work, "--model", model, "--others", others, ...options],
    ...["--steps", "40", "--batch-size", "16", "--checkpoint-minutes", "0", "--out", at(part)],
  );

const parts = {
  dense: () => evaluate("--model", model),
  colbert() {
    run(
      ...["train", at("pairs.jsonl"), "--model", model, "--encoder", "colbert", "--epochs", "3", "--batch-size", "32"],
      ...["--learning-rate", "5e-5", "--max-length", "256", "--checkpoint-minutes", "0", "--out", at("colbert")],
    );
    return evaluate("--model", at("colbert"));
  },
  splade() {
    if (!existsSync(at("mlm/config.json")))
      run(
        ...["pretrain", at("corpus.jsonl.gz"), "--model", model, "--max-length", "256", "--steps", "180"],
        ...["--learning-rate", "2e-4", "--checkpoint-minutes", "0", "--out", at("mlm")],
      );
    run(
      ...["train", at("pairs.jsonl"), "--model", at("mlm"), "--encoder", "splade", "--steps", "40", "--batch-size"],
      ...["24", "--learning-rate", "1e-4", "--max-length", "128", "--checkpoint-minutes", "0", "--out", at("splade")],
    );
    return evaluate("--model", at("splade"));
  },
  unicoil() {
    run(
      ...["train", at("pairs.jsonl"), "--model", model, "--encoder", "unicoil", "--steps", "40", "--batch-size", "24"],
      ...["--learning-rate", "1e-4", "--max-length", "128", "--checkpoint-minutes", "0", "--out", at("unicoil")],
    );
    return evaluate("--model", at("unicoil"));
  },
  deepimpact() {
    const reading = ["--set", "maxLength=128", "--set", "stemmer=english", "--set", "stopWords=english"];
    train("deepimpact", "1", "--learning-rate", "1e-4", ...reading);
    return evaluate("--model", at("deepimpact"));
  },
  "early-exit": () => rerank("early-exit", "--learning-rate", "5e-5", "--set", "maxLength=192"),
};

const asked = process.argv.indexOf("--parts");
const names = asked < 0 ? Object.keys(parts) : process.argv[asked + 1].split(",");
for (const name of names) {
  commands.length = 0;
  const start = performance.now();
  const result = parts[name]();
  const seconds = Math.round((performance.now() - start) / 1000);
  console.log(JSON.stringify({ part: name, ...result, seconds, commands }));
}
