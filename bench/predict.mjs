// Predicting the agnews test of ../shared (7,600 texts): `cloze predict` beside transformers' pipeline with batches of 32.
//   node bench/predict.mjs [--rounds N] [--rows N]     (rows of the training that makes the classifier)
// The model is fine-tuned first; both sides read the folder that Cloze wrote. Cloze's time is that of the whole command,
// the pipeline's that of the predictions alone. One line of JSON. Needs ../shared and `npm run bench:setup`.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));
const agnews = join(root, "..", "shared", "data", "agnews");
const checkpoint = join(root, "..", "shared", "models", "all-MiniLM-L6-v2");
const python = join(root, ".peers", "py", "bin", "python");
for (const path of [agnews, checkpoint, python]) {
  if (existsSync(path)) continue;
  console.error(`${path} is not here, so there is nothing to measure.`);
  process.exit(1);
}
const { values } = parseArgs({ options: { rounds: { type: "string" }, rows: { type: "string" } } });
const scratch = mkdtempSync(join(tmpdir(), "cloze-predict-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

function run(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (status === 0) return stdout;
  console.error(stderr || stdout);
  process.exit(1);
}
const cloze = (...args) => run(process.execPath, [join(root, "packages/cloze/dist/cli/main.js"), ...args]);

const peer = `
import json, sys, time, csv, gzip, torch
from transformers import pipeline
torch.set_num_threads(2)
with gzip.open(sys.argv[2], "rt", encoding="utf8") as file:
    texts = [row["text"] for row in csv.DictReader(file, delimiter="\\t", quoting=csv.QUOTE_NONE)]
classify = pipeline("text-classification", model=sys.argv[1], batch_size=32, device="cpu")
classify(texts[:64], truncation=True, max_length=128)
start = time.perf_counter()
labels = [result["label"] for result in classify(texts, truncation=True, max_length=128)]
print(json.dumps({"seconds": time.perf_counter() - start, "labels": labels}))
`;

const lines = gunzipSync(readFileSync(join(agnews, "train.tsv.gz")))
  .toString("utf8")
  .split("\n");
const train = join(scratch, "train.tsv");
writeFileSync(train, `${lines.slice(0, 1 + Number(values.rows ?? 1000)).join("\n")}\n`);
const model = join(scratch, "model");
const settings = ["--epochs", "1", "--learning-rate", "5e-5", "--max-length", "128", "--quiet"];
cloze("finetune", "--task", "classification", "--model", checkpoint, "--train", train, "--out", model, ...settings);

const test = join(agnews, "test.tsv.gz");
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const times = { float32: [], int8: [], transformers: [] };
const labels = {};
for (let round = 0; round < Number(values.rounds ?? 3); round++) {
  for (const weights of ["float32", "int8"]) {
    const out = join(scratch, "predictions.jsonl");
    const start = performance.now();
    cloze("predict", "--model", model, "--data", test, "--out", out, "--weights", weights, "--quiet");
    times[weights].push((performance.now() - start) / 1000);
    labels[weights] = readFileSync(out, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).label);
    rmSync(out);
  }
  const result = JSON.parse(run(python, ["-c", peer, model, test]).trim().split("\n").at(-1));
  times.transformers.push(result.seconds);
  labels.transformers = result.labels;
}
const seconds = Object.fromEntries(Object.entries(times).map(([side, list]) => [side, median(list)]));
const texts = labels.transformers.length;
const agreement = (side) => labels[side].filter((label, i) => label === labels.transformers[i]).length / texts;
console.log(
  JSON.stringify({
    texts,
    textsPerSecond: Object.fromEntries(Object.entries(seconds).map(([side, s]) => [side, Math.round(texts / s)])),
    ratio: Number((seconds.transformers / seconds.float32).toFixed(2)),
    ratioInt8: Number((seconds.transformers / seconds.int8).toFixed(2)),
    sameLabel: { float32: agreement("float32"), int8: agreement("int8") },
  }),
);
