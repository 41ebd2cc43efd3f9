import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { collectRows, readTextRows } from "../data/readers/index.js";
import { readSimilarityRows } from "../data/readers/similarity-rows.js";
import { createWarnings } from "../data/readers/warnings.js";
import { createEmbedder, type Embedder, partsOf } from "../embedding/embedder.js";
import {
  bitextEvaluator,
  classificationEvaluator,
  clusteringEvaluator,
  type EmbeddingEvaluator,
  type EmbeddingScores,
  type LabelledText,
  rerankingEvaluator,
  stsEvaluator,
} from "../embedding/evaluation/index.js";
import { type PoolingMode, poolingModes } from "../embedding/pooling.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { readEmbeddingRows } from "../embedding/training/rows.js";
import { ClozeError } from "../errors.js";
import type { ProgressReporter } from "../training/progress.js";
import { wholeNumber } from "./arguments.js";
import { noteGuesses, noteWarnings } from "./data-options.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, formatTable, printResult, progressFor } from "./output.js";

interface BenchOptions extends CommonOptions {
  model: string;
  pool?: PoolingMode[];
  sts?: string[];
  classify?: string[];
  k?: number;
  cluster?: string[];
  bitext?: string[];
  rerank?: string[];
}

const collect = (value: string, before: string[] = []): string[] => [...before, value];

function poolings(text: string): PoolingMode[] {
  return text.split(",").map((name) => {
    const found = poolingModes.find((mode) => mode === name.trim());
    if (found === undefined) throw new InvalidArgumentError(`Of these: ${poolingModes.join(", ")}.`);
    return found;
  });
}

async function labelled(path: string, progress: ProgressReporter): Promise<LabelledText[]> {
  const source = await readTextRows(path, { labels: "one" });
  noteGuesses(progress, source);
  const rows = await collectRows(source);
  noteWarnings(progress, source.warnings.list());
  return rows.flatMap(({ text, label }) => (label === undefined ? [] : [{ text, label: String(label) }]));
}

/** The training and the test file of a data set: its folder, or both with a comma between them. */
function trainAndTest(given: string): [string, string] {
  if (existsSync(given) && statSync(given).isDirectory()) {
    const files = readdirSync(given);
    const find = (part: string) => files.find((name) => new RegExp(`^${part}\\.[a-z]+(\\.gz|\\.zst)?$`).test(name));
    const [train, test] = [find("train"), find("test") ?? find("dev")];
    if (train !== undefined && test !== undefined) return [join(given, train), join(given, test)];
    throw new ClozeError("DATA_FILE_MISSING", `${given} holds no data set for classification`, {
      expected: "files train.* and test.* (or dev.*)",
      received: files.slice(0, 8).join(", "),
    });
  }
  const [train, test, ...more] = given.split(",");
  if (test !== undefined && more.length === 0) return [train, test];
  throw new ClozeError("USAGE_DATA", "A probe needs rows to learn from and rows to be asked about", {
    expected: "a folder with train.* and test.*, or train.tsv,test.tsv",
    received: given,
  });
}

/** The evaluators that a command asks for, by the name of their data. */
async function evaluatorsOf(
  options: BenchOptions,
  progress: ProgressReporter,
): Promise<{ data: string; evaluator: EmbeddingEvaluator }[]> {
  const found: { data: string; evaluator: EmbeddingEvaluator }[] = [];
  for (const data of options.sts ?? []) {
    const warnings = createWarnings();
    const { rows } = await readSimilarityRows(data, warnings);
    noteWarnings(progress, warnings.list());
    found.push({ data, evaluator: stsEvaluator(rows) });
  }
  for (const data of options.classify ?? []) {
    const [train, test] = await Promise.all(trainAndTest(data).map((path) => labelled(path, progress)));
    const probe = options.k === undefined ? {} : { method: "knn" as const, k: options.k };
    found.push({ data, evaluator: classificationEvaluator(train, test, probe) });
  }
  for (const data of options.cluster ?? [])
    found.push({ data, evaluator: clusteringEvaluator(await labelled(data, progress)) });
  const pairs = async (data: string) => {
    const source = await readEmbeddingRows(data, "pair");
    noteGuesses(progress, source);
    return (await collectRows(source)).flat();
  };
  for (const data of options.bitext ?? []) {
    const rows = await pairs(data);
    found.push({ data, evaluator: bitextEvaluator(rows.map(({ texts: [source, target] }) => ({ source, target }))) });
  }
  for (const data of options.rerank ?? []) {
    const groups = new Map<string, { positives: Set<string>; negatives: Set<string> }>();
    for (const { texts } of await pairs(data)) {
      const group = groups.get(texts[0]) ?? { positives: new Set(), negatives: new Set() };
      groups.set(texts[0], group);
      group.positives.add(texts[1]);
      for (const text of texts.slice(2)) group.negatives.add(text);
    }
    const rows = [...groups].map(([query, { positives, negatives }]) => ({
      query,
      positives: [...positives],
      negatives: [...negatives],
    }));
    found.push({ data, evaluator: rerankingEvaluator(rows) });
  }
  if (found.length > 0) return found;
  throw new ClozeError("USAGE_DATA", "There is nothing to evaluate on", {
    remedy: "Add --sts, --classify, --cluster, --bitext or --rerank with a file.",
  });
}

/** @throws OPTION_CONFLICT for an embedder that has no pooling which could be another */
function checkPools(embedder: Embedder): void {
  const { bag, documentLevel, routes, modules } = embedder;
  const kinds: readonly (readonly [string, boolean])[] = [
    ["counts of words (BoW)", bag !== undefined],
    ["layers over blocks", documentLevel !== undefined],
    ["several embedders, by the role of a text (Router)", routes !== undefined],
    [`a pooling that modules read (${modules.map(({ type }) => type).join(", ")})`, modules.length > 0],
  ];
  const kind = kinds.find(([, is]) => is)?.[0];
  if (kind === undefined) return;
  embedder.dispose();
  throw new ClozeError("OPTION_CONFLICT", "The model's vectors cannot be another pooling of its tokens'", {
    expected: "a model that ends with a pooling",
    received: `--pool, and a model of ${kind}`,
    remedy: "Leave --pool out.",
  });
}

function bench(command: Command): void {
  command
    .description("score an embedder on similarity, probes, clusters, translations and reranking: one table")
    .requiredOption(`--model ${modelArgument}`, "an embedder, or an encoder")
    .option("--pool <modes>", "instead of the model's pooling; several with commas: mean,cls", poolings)
    .option("--sts <file>", "pairs with scores (Spearman, Pearson); may be repeated", collect)
    .option("--classify <data>", "a folder with train.* and test.*, or train.tsv,test.tsv (accuracy)", collect)
    .option("--k <count>", "probe by the k nearest neighbours instead of logistic regression", wholeNumber())
    .option("--cluster <file>", "texts with classes (V-measure)", collect)
    .option("--bitext <file>", "pairs of translations (accuracy both ways)", collect)
    .option("--rerank <file>", "queries with positives and negatives (MAP, MRR, nDCG)", collect)
    .action(async (options: BenchOptions) => {
      const progress = progressFor(options);
      const evaluators = await evaluatorsOf(options, progress);
      const loaded = loadEmbedder(await modelFolder(options.model, options));
      if (options.pool !== undefined) checkPools(loaded);
      const results: { pooling: string; task: string; data: string; scores: EmbeddingScores }[] = [];
      for (const pooling of options.pool ?? [undefined]) {
        const embedder =
          pooling === undefined
            ? loaded
            : createEmbedder(loaded.model, loaded.tokenizer, { ...partsOf(loaded), pooling });
        for (const { data, evaluator } of evaluators) {
          const scores = await evaluator.evaluate(embedder);
          results.push({ pooling: [embedder.options.pooling].flat().join("+"), task: evaluator.name, data, scores });
        }
      }
      loaded.dispose();
      printResult(options, { model: options.model, results }, () =>
        formatTable([
          ["pooling", "task", "data", "scores"],
          ...results.map(({ pooling, task, data, scores }) => [
            pooling,
            task,
            data,
            Object.entries(scores)
              .map(([name, value]) => `${name} ${value.toFixed(4)}`)
              .join("  "),
          ]),
        ]),
      );
    });
}

/** `cloze evaluate embedding` */
export const addEvaluateEmbedding = (program: Command): void => bench(program.command("embedding"));

/** `cloze embed-bench`, the same by another name. */
export const addEmbedBench = (program: Command): void => bench(program.command("embed-bench"));
