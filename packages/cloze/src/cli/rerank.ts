import type { Command } from "commander";
import { createWarnings, type DataWarnings } from "../data/readers/warnings.js";
import { ClozeError } from "../errors.js";
import { measureRun } from "../retrieval/evaluation/measures.js";
import type { Ranking } from "../retrieval/evaluation/ranking.js";
import { readRun } from "../retrieval/evaluation/run-file.js";
import { chooseFirstStageWeight } from "../retrieval/rerank/first-stage-weight.js";
import { findCollection, readJudgedQueries } from "../retrieval/test-collection/index.js";
import { noteWarnings } from "./data-options.js";
import { textsOf } from "./embed.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, formatTable, printResult, progressFor } from "./output.js";
import { type RerankOptions, withRerankOptions } from "./rerank-options.js";
import { rerankRun, writeRun } from "./rerank-run.js";
import { type OpenedReranker, openReranker } from "./reranker-kinds.js";

interface Options extends CommonOptions, RerankOptions {
  model: string;
  query?: string;
  input?: string;
  data?: string;
  split?: string;
  run?: string;
  out?: string;
  chooseWeight?: boolean;
}

/** `cloze rerank` */
export function addRerank(program: Command): void {
  const command = program
    .command("rerank")
    .description(
      "put documents into a better order with a cross-encoder or a part of train-retrieval: texts for a query, or a TREC run",
    )
    .argument("[texts...]", "documents for --query; or use --input")
    .requiredOption(
      `--model ${modelArgument}`,
      "fine-tuned for ranking or for classification of pairs, or of train-retrieval --part parade, early-exit, prettr, tilde",
    )
    .option("--query <text>", "what the documents are ordered for")
    .option("--input <file>", "one document a line; - for standard input")
    .option("--data <folder>", "a test collection, as cloze evaluate retrieval takes")
    .option("--split <name>", "whose judgements the new order is scored by")
    .option("--run <file>", "the run whose documents are reordered")
    .option("--out <file>", "write the new run there")
    .option(
      "--choose-weight",
      "take the --first-stage-weight that scores best here: on queries that the model did not learn from",
    );
  withRerankOptions(command).action(async (given: string[], options: Options) => {
    if ((options.query === undefined) === (options.run === undefined) || (options.run !== undefined && !options.data)) {
      throw new ClozeError("OPTION_MISSING", "Say what is to be reranked", {
        expected: "--query with documents, or --run with --data",
        received: options.query === undefined ? "neither" : "both",
      });
    }
    // A weight is chosen by how the new scores do alone.
    const alone = options.chooseWeight === true ? { ...options, firstStageWeight: 0 } : options;
    const warnings = createWarnings();
    const model = openReranker(await modelFolder(options.model, options), alone, warnings);
    try {
      if (options.run !== undefined) await rerankCollection(model, options, warnings);
      else await rerankTexts(model, textsOf(given, options.input), options, warnings);
    } finally {
      model.close();
    }
  });
}

async function rerankTexts(
  model: OpenedReranker,
  texts: string[],
  options: Options,
  warnings: DataWarnings,
): Promise<void> {
  const ranking: Ranking = texts.map((_, i) => ({ id: String(i), score: -i }));
  const reranker = model.stage(
    (id) => ({ text: texts[Number(id)] }),
    () => texts,
  );
  const found = await reranker.rerank(options.query as string, ranking);
  const rows = found.map(({ id, score }) => ({ index: Number(id), score, text: texts[Number(id)] }));
  noteWarnings(progressFor(options), warnings.list());
  printResult(
    options,
    { query: options.query, results: rows, reranker: model.report?.(), warnings: warnings.list() },
    () => rows.map(({ score, text }) => `${score.toFixed(4)}\t${text}`).join("\n"),
  );
}

async function rerankCollection(model: OpenedReranker, options: Options, warnings: DataWarnings): Promise<void> {
  const progress = progressFor(options);
  const files = findCollection(options.data as string, options.split);
  const run = await readRun(options.run as string, warnings);
  const { queries, qrels } = await readJudgedQueries(files, warnings);
  const ids = [...run.keys()].filter((id) => queries.has(id));
  for (const id of run.keys())
    if (!queries.has(id))
      warnings.add(
        "RUN_QUERY_UNKNOWN",
        "queries of the run that are not judged or have no text; they keep their order",
        id,
      );
  const start = performance.now();
  const { name, result } = await rerankRun(model, run, queries, {
    ...options,
    corpus: files.corpus,
    progress,
    warnings,
  });
  let firstStageWeight = options.firstStageWeight;
  if (options.chooseWeight === true) {
    const [before, after] = [run, result].map((of) => ids.map((id) => of.get(id) as Ranking));
    const score = (rankings: readonly Ranking[]) =>
      measureRun(new Map(ids.map((id, q) => [id, rankings[q]])), qrels)["ndcg@10"];
    const chosen = chooseFirstStageWeight(before, after, score, options.rerankDepth);
    firstStageWeight = chosen.weight;
    ids.forEach((id, q) => {
      result.set(id, chosen.rankings[q]);
    });
  }
  const whole = new Map([...run, ...result]);
  if (options.out !== undefined) writeRun(options.out, whole, "cloze-rerank");
  noteWarnings(progress, warnings.list());
  const measures = measureRun(whole, qrels);
  const seconds = (performance.now() - start) / 1000;
  const report = model.report?.();
  const { out } = options;
  const printed = { ...measures, firstStageWeight, out, reranker: report, seconds, warnings: warnings.list() };
  printResult(options, printed, () =>
    formatTable([
      [`${measures.queries} queries`, name],
      ["first-stage weight", `${firstStageWeight}${options.chooseWeight ? `, the best here` : ""}`],
      ...(["ndcg@10", "recall@100", "mrr@10", "map"] as const).map((one) => [one, measures[one].toFixed(4)]),
      ...Object.entries(report ?? {}).map(([name, value]) => [name, String(Math.round(value * 100) / 100)]),
    ]),
  );
}
