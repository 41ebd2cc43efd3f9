// Fine-tuning the real checkpoint of ../shared on real data, with the rows and hyper-parameters of its finetune_reference.py:
//   node bench/finetune.mjs [task …] [--seeds 3] [--rows N] [--reference] [--best]
// One line of JSON for each run. --reference runs PyTorch's side after ours (the same rows); --best takes our own recipe.
// Needs ../shared and `npm run bench:setup`; says so and stops where they are not there.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));
const shared = join(root, "..", "shared");
const python = join(root, ".peers", "py", "bin", "python");
const data = (...parts) => join(shared, "data", ...parts);
const model = join(shared, "models", "all-MiniLM-L6-v2");
for (const [path, how] of [
  [model, "The checkpoint and the data of ../shared are not here, so there is nothing to measure."],
  [python, "Python is not installed: run `npm run bench:setup`."],
]) {
  if (existsSync(path)) continue;
  console.error(how);
  process.exit(1);
}

const tasks = {
  sst2: {
    task: "classification",
    train: "sst2/train.tsv.gz",
    test: "sst2/dev.tsv",
    rows: 20000,
    epochs: 1,
    lr: 5e-5,
    length: 128,
    score: "accuracy",
  },
  agnews: {
    task: "classification",
    train: "agnews/train.tsv.gz",
    test: "agnews/test.tsv.gz",
    rows: 10000,
    epochs: 1,
    lr: 5e-5,
    length: 128,
    score: "accuracy",
  },
  mrpc: {
    task: "classification",
    train: "mrpc/train.tsv",
    test: "mrpc/test.tsv",
    epochs: 3,
    lr: 5e-5,
    length: 128,
    score: "accuracy",
  },
  stsb: {
    task: "regression",
    train: "stsb/train.tsv",
    test: "stsb/test.tsv",
    epochs: 3,
    lr: 5e-5,
    length: 128,
    score: "spearman",
  },
  conll2003: {
    task: "token-classification",
    train: "conll2003/train.conll.gz",
    test: "conll2003/test.conll",
    epochs: 3,
    lr: 1e-4,
    length: 128,
    score: "f1",
  },
  goemotions: {
    task: "multi-label",
    train: "goemotions/train.tsv.gz",
    test: "goemotions/test.tsv",
    rows: 20000,
    epochs: 2,
    lr: 1e-4,
    length: 64,
    score: "macroF1",
    more: ["--set", "threshold=0.3", "--label-separator", ","],
  },
  squad: {
    task: "question-answering",
    epochs: 2,
    batch: 16,
    lr: 1e-4,
    length: 256,
    score: "f1",
    more: ["--set", "stride=64"],
  },
};

const scratch = mkdtempSync(join(tmpdir(), "cloze-finetune-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
const read = (path) => (path.endsWith(".gz") ? gunzipSync(readFileSync(path)) : readFileSync(path)).toString("utf8");

/** Python's random.Random(0).sample(range(count), wanted), which is how the reference draws its rows. */
function sampled(count, wanted) {
  const program =
    "import random, json, sys; n, k = map(int, sys.argv[1:]); print(json.dumps(random.Random(0).sample(range(n), min(k, n))))";
  return JSON.parse(
    spawnSync(python, ["-c", program, String(count), String(wanted)], { encoding: "utf8", maxBuffer: 1 << 26 }).stdout,
  );
}

/** The files of a task, with as many training rows as wanted. */
function filesOf(name, rows) {
  const { train, test } = tasks[name];
  if (name === "squad") {
    const articles = JSON.parse(read(data("squad", "articles_split.json")));
    const all = JSON.parse(read(data("squad", "dev-v1.1.json.gz")));
    const questions = (split) =>
      all.data
        .filter(({ title }) => articles[split].includes(title))
        .flatMap(({ title, paragraphs }) =>
          paragraphs.flatMap(({ context, qas }) => qas.map((qa) => ({ title, context, qa }))),
        );
    const write = (split, list) => {
      const path = join(scratch, `squad-${split}.json`);
      writeFileSync(
        path,
        JSON.stringify({
          version: "1.1",
          data: list.map(({ title, context, qa }) => ({ title, paragraphs: [{ context, qas: [qa] }] })),
        }),
      );
      return path;
    };
    const list = questions("train");
    return {
      train: write("train", rows === undefined ? list : sampled(list.length, rows).map((i) => list[i])),
      test: write("eval", questions("eval")),
    };
  }
  if (rows === undefined) return { train: data(train), test: data(test) };
  const path = join(scratch, `${name}-train${name === "conll2003" ? ".conll" : ".tsv"}`);
  const text = read(data(train));
  if (name === "conll2003") {
    const sentences = text
      .split("\n\n")
      .map((block) =>
        block
          .split("\n")
          .filter((line) => line !== "" && !line.startsWith("-DOCSTART-"))
          .join("\n"),
      )
      .filter((block) => block !== "");
    writeFileSync(
      path,
      `${sampled(sentences.length, rows)
        .map((i) => sentences[i])
        .join("\n\n")}\n`,
    );
  } else {
    const [head, ...lines] = text.replace(/\n$/, "").split("\n");
    writeFileSync(path, `${[head, ...sampled(lines.length, rows).map((i) => lines[i])].join("\n")}\n`);
  }
  return { train: path, test: data(test) };
}

const argv = process.argv.slice(2);
const option = (name) => {
  const at = argv.indexOf(`--${name}`);
  return at < 0 ? undefined : Number(argv[at + 1]);
};
const flag = (name) => argv.includes(`--${name}`);
const numbers = new Set(
  ["--seeds", "--rows", "--seed"].flatMap((name) => [argv.indexOf(name) + 1]).filter((at) => at > 0),
);
const names = argv.filter((argument, at) => !argument.startsWith("--") && !numbers.has(at));
const first = option("seed") ?? 1;
mkdirSync(join(root, ".peers"), { recursive: true });

for (const name of names.length > 0 ? names : Object.keys(tasks)) {
  const { task, rows, epochs, batch = 32, lr, length, score, more = [] } = tasks[name];
  const files = filesOf(name, option("rows") ?? rows);
  for (let seed = first; seed < first + (option("seeds") ?? 1); seed++) {
    const best = flag("best")
      ? ["--layer-decay", "0.9", "--average", "0.995", "--schedule", "cosine", "--epochs", String(epochs + 1)]
      : ["--epochs", String(epochs)];
    const result = spawnSync(
      process.execPath,
      [
        join(root, "packages/cloze/dist/cli/main.js"),
        "finetune",
        "--task",
        task,
        "--model",
        model,
        "--train",
        files.train,
        "--test",
        files.test,
        "--out",
        join(scratch, "run"),
        "--batch-size",
        String(batch),
        "--learning-rate",
        String(lr),
        "--max-length",
        String(length),
        "--seed",
        String(seed),
        "--checkpoint-minutes",
        "0",
        "--json",
        "--quiet",
        ...best,
        ...more,
      ],
      { encoding: "utf8", maxBuffer: 1 << 26 },
    );
    rmSync(join(scratch, "run"), { recursive: true, force: true });
    if (result.status !== 0) {
      console.error(result.stderr || result.stdout);
      process.exit(1);
    }
    const { seconds, steps, scores, peakResidentBytes } = JSON.parse(result.stdout);
    console.log(
      JSON.stringify({
        side: "cloze",
        name,
        seed,
        recipe: flag("best") ? "best" : "reference",
        steps,
        score: scores.test[score],
        measure: score,
        seconds: Number(seconds.toFixed(1)),
        peakMiB: Math.round(peakResidentBytes / 2 ** 20),
        scores: scores.test,
      }),
    );
    if (!flag("reference")) continue;
    const theirs = spawnSync(
      python,
      [
        join(shared, "models", "finetune_reference.py"),
        name,
        String(seed),
        ...(option("rows") === undefined ? [] : [String(option("rows"))]),
      ],
      { encoding: "utf8", maxBuffer: 1 << 26 },
    );
    console.log(JSON.stringify({ side: "reference", ...JSON.parse(theirs.stdout.trim().split("\n").at(-1)) }));
  }
}
