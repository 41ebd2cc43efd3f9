import { writeFileAtomic } from "@cloze/tensor";
import { type Command, Option } from "commander";
import { randomOrder, randomSource } from "../data/random-source.js";
import { createWarnings, type DataWarnings } from "../data/readers/warnings.js";
import { ClozeError } from "../errors.js";
import { measureRun } from "../retrieval/evaluation/measures.js";
import type { Ranking, Run } from "../retrieval/evaluation/ranking.js";
import { readRun } from "../retrieval/evaluation/run-file.js";
import { expandAll } from "../retrieval/pipeline/document-expanders.js";
import { searchTwice } from "../retrieval/pipeline/feedback/index.js";
import { chooseFusionWeights, type FusionMethod, floorsOf, fuseRankings } from "../retrieval/pipeline/fusion.js";
import type { Retriever } from "../retrieval/pipeline/retriever.js";
import {
  type CollectionFiles,
  type CollectionIndex,
  findCollection,
  fullText,
  indexCollection,
  type Qrels,
  qrelsFile,
  qrelsLines,
  queriesFile,
  readCandidateTexts,
  readDocuments,
  readJudgedQueries,
  splitsOf,
  withTrecIds,
} from "../retrieval/test-collection/index.js";
import { createMeter, type ProgressReporter } from "../training/progress.js";
import { numberBetween, wholeNumber } from "./arguments.js";
import { noteWarnings } from "./data-options.js";
import { encoderFor, pipelineOf } from "./encoder-option.js";
import { expandDocumentsOption, openExpander } from "./expand-documents-option.js";
import { type ExpansionOptions, openExpansion, withExpansionOptions } from "./expansion-option.js";
import { fusionWeights, pipelines } from "./fusion-option.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { formatTable, printResult, progressFor } from "./output.js";
import { type RerankOptions, withRerankOptions } from "./rerank-options.js";
import { rerankRun, writeRun } from "./rerank-run.js";
import { openReranker } from "./reranker-kinds.js";

interface EvaluateRetrievalOptions extends ExpansionOptions, RerankOptions {
  rerank?: string;
  expandDocuments?: string;
  writeCandidates?: string;
  candidates: number;
  data: string;
  split?: string;
  model?: string;
  pipeline?: (typeof pipelines)[number];
  run?: string;
  readRun?: string;
  writeQrels?: string;
  depth: number;
  fusion: FusionMethod;
  weights?: [number, number];
  weightQueries: number;
  k1: number;
  b: number;
  stemmer: "none" | "english";
  stopWords: "none" | "english";
  ignoreIdentical?: boolean;
  tokenBudget: number;
}

/** Weights of BM25 and dense scores where there are no training queries to choose them on. */
const usualWeights: Record<FusionMethod, readonly [number, number]> = {
  standardized: [0.3, 0.7],
  "reciprocal-rank": [0.5, 0.5],
};

const chunk = 64;

async function searchAll(
  retriever: Retriever,
  queries: ReadonlyMap<string, string>,
  { depth, ignoreIdentical }: EvaluateRetrievalOptions,
  progress: ProgressReporter,
): Promise<Map<string, Ranking>> {
  const run = new Map<string, Ranking>();
  const ids = [...queries.keys()];
  const meter = createMeter(`search ${retriever.name}`, () => run.size / ids.length);
  for (let first = 0; first < ids.length; first += chunk) {
    const group = ids.slice(first, first + chunk);
    const texts = group.map((id) => queries.get(id) as string);
    const found = await retriever.search(texts, { depth: depth + 1 });
    group.forEach((id, q) => {
      const kept = ignoreIdentical === true ? found[q].filter((hit) => hit.id !== id) : found[q];
      run.set(id, kept.slice(0, depth));
    });
    progress.update(meter.event(run.size));
  }
  progress.done();
  return run;
}

/** Counts judgements of documents that do not exist; they stay, as things that were missed. */
function countUnknown(qrels: Qrels, index: CollectionIndex, warnings: DataWarnings, path: string): void {
  const message = "judgements of documents that are not there; relevant ones count as missed";
  for (const [query, judged] of qrels)
    for (const document of judged.keys())
      if (!index.has(document)) warnings.add("QRELS_DOCUMENT_UNKNOWN", message, `${path} (${query} ${document})`);
}

interface Fused {
  readonly run: Run;
  readonly weights: readonly [number, number];
  readonly chosenOn?: string;
  /** Training queries that they were chosen on. */
  readonly chosenBy?: number;
}

/** So many queries, drawn at random but always the same, in their order. */
function sampleQueries(queries: ReadonlyMap<string, string>, count: number): ReadonlyMap<string, string> {
  if (queries.size <= count) return queries;
  const drawn = new Set(randomOrder(queries.size, randomSource(1)).slice(0, count));
  return new Map([...queries].filter((_, place) => drawn.has(place)));
}

/** BM25 and dense scores together, with the weights that were given, or those that score best on training queries. */
async function hybrid(
  retrievers: readonly [words: Retriever, vectors: Retriever],
  queries: ReadonlyMap<string, string>,
  split: string | undefined,
  options: EvaluateRetrievalOptions,
  progress: ProgressReporter,
): Promise<Fused> {
  const method = options.fusion;
  const floors = floorsOf(retrievers, options.depth);
  let weights = options.weights ?? usualWeights[method];
  let chosenOn: string | undefined;
  let chosenBy: number | undefined;
  const training = splitsOf(options.data).find((name) => /^(train|dev|val|validation)/.test(name) && name !== split);
  if (options.weights === undefined && training !== undefined) {
    const files = { qrels: qrelsFile(options.data, training), queries: queriesFile(options.data, training) };
    const read =
      files.qrels && files.queries ? await readJudgedQueries(files as CollectionFiles, createWarnings()) : undefined;
    if (read !== undefined) {
      const sample = sampleQueries(read.queries, options.weightQueries);
      const found: Ranking[][] = [];
      for (const one of retrievers) found.push([...(await searchAll(one, sample, options, progress)).values()]);
      const ids = [...sample.keys()];
      const judged: Qrels = new Map([...read.qrels].filter(([id]) => sample.has(id)));
      const score = (rankings: readonly Ranking[]) =>
        measureRun(new Map(ids.map((id, q) => [id, rankings[q]])), judged)["ndcg@10"];
      ({ weights } = chooseFusionWeights([found[0], found[1]], score, { method, floors }));
      chosenOn = training;
      chosenBy = ids.length;
    }
  }
  const [words, vectors] = [
    await searchAll(retrievers[0], queries, options, progress),
    await searchAll(retrievers[1], queries, options, progress),
  ];
  const fuse = (id: string) => fuseRankings([words.get(id) ?? [], vectors.get(id) ?? []], { method, weights, floors });
  const run = new Map([...queries.keys()].map((id) => [id, fuse(id).slice(0, options.depth)]));
  return { run, weights, chosenOn, chosenBy };
}

/** Rows of the task ranking: what was found, and what should have been. */
async function writeCandidates(
  run: Run,
  queries: ReadonlyMap<string, string>,
  qrels: Qrels,
  corpus: string,
  { writeCandidates: path, candidates: depth }: EvaluateRetrievalOptions,
): Promise<void> {
  const wanted = [...queries].map(([id, query]) => {
    const judged = qrels.get(id) ?? new Map<string, number>();
    const found = (run.get(id) ?? []).slice(0, depth).map((hit) => hit.id);
    const relevant = [...judged].filter(([, grade]) => grade > 0).map(([document]) => document);
    return { query, judged, ids: [...new Set([...relevant, ...found])].slice(0, Math.max(depth, relevant.length)) };
  });
  const rankings = wanted.map(({ ids }) => ids.map((id) => ({ id, score: 0 })));
  const texts = await readCandidateTexts(corpus, rankings, Number.POSITIVE_INFINITY, createWarnings());
  writeFileAtomic(
    path as string,
    (function* () {
      for (const { query, judged, ids } of wanted) {
        const known = ids.filter((id) => texts.has(id));
        const row = {
          query,
          candidates: known.map((id) => fullText(texts.get(id) as { title: string; text: string })),
          relevance: known.map((id) => Math.max(0, judged.get(id) ?? 0)),
        };
        if (known.length > 0) yield Buffer.from(`${JSON.stringify(row)}\n`);
      }
    })(),
  );
}

/** `cloze evaluate retrieval` */
export function addEvaluateRetrieval(program: Command): void {
  const command = program
    .command("retrieval")
    .description("search a test collection (BEIR's layout) and score what is found, as trec_eval does")
    .requiredOption("--data <folder>", "corpus.jsonl, queries.jsonl and qrels/<split>.tsv, or flat, packed or not")
    .option("--split <name>", "which judgements (default: test, or the only ones)")
    .option(
      `--model ${modelArgument}`,
      "an embedder for dense and hybrid, an encoder of cloze train --encoder for splade and colbert, a weighter of cloze train-retrieval for term-weights",
    )
    .addOption(
      new Option(
        "--pipeline <name>",
        "how documents are found (default: as the model is made for, bm25 without one)",
      ).choices(pipelines),
    )
    .option("--run <file>", "write the run there, as TREC does")
    .option("--read-run <file>", "score this TREC run instead of searching")
    .option("--write-qrels <file>", "write the judgements there, as TREC does")
    .option("--depth <count>", "documents per query", wholeNumber(1), 1000)
    .addOption(
      new Option("--fusion <method>", "how hybrid puts scores together")
        .choices(["standardized", "reciprocal-rank"])
        .default("standardized"),
    )
    .option(
      "--weights <bm25,dense>",
      "of hybrid's parts (default: the best on training queries where there are some, else 0.3,0.7)",
      fusionWeights,
    )
    .option(
      "--weight-queries <count>",
      "training queries that hybrid's weights are chosen on at most; of more, so many are drawn, always the same",
      wholeNumber(1),
      500,
    )
    .option("--k1 <number>", "BM25: how soon repeats stop counting", numberBetween(0), 1.2)
    .option("--b <number>", "BM25: how much long documents are held back", numberBetween(0, 1), 0.75)
    .addOption(new Option("--stemmer <language>", "stems for BM25").choices(["none", "english"]).default("none"))
    .addOption(
      new Option("--stop-words <language>", "words BM25 leaves out").choices(["none", "english"]).default("none"),
    )
    .option(...expandDocumentsOption)
    .option("--ignore-identical", "a query does not find the document of its own id (as BEIR does for ArguAna, Quora)")
    .option("--token-budget <count>", "tokens per forward pass", wholeNumber(1), 4096)
    .option("--write-candidates <file>", "write what was found with its judgements there, to train a reranker with")
    .option("--candidates <count>", "documents of each query in that file", wholeNumber(1), 20)
    .option(
      `--rerank ${modelArgument}`,
      "a cross-encoder, or a reranker of train-retrieval, that puts what was found into a new order",
    );
  withExpansionOptions(withRerankOptions(command)).action(evaluateRetrieval);
}

async function evaluateRetrieval(options: EvaluateRetrievalOptions): Promise<void> {
  const progress = progressFor(options);
  const warnings = createWarnings();
  const folder = options.model === undefined ? undefined : await modelFolder(options.model, options);
  const name = options.pipeline ?? (folder === undefined ? "bm25" : pipelineOf(folder));
  if (name !== "bm25" && options.model === undefined && options.readRun === undefined) {
    throw new ClozeError("OPTION_MISSING", `The pipeline ${name} needs a model`, {
      expected: `--model ${modelArgument}`,
      received: "none",
      remedy: "Name an embedder, or take --pipeline bm25.",
    });
  }
  if (options.readRun !== undefined && (options.expand ?? options.expandDocuments) !== undefined) {
    throw new ClozeError("OPTION_CONFLICT", "A run that is read was searched already", {
      expected: "--read-run, or --expand and --expand-documents",
      received: "both",
    });
  }
  if (options.expandDocuments !== undefined && (name === "dense" || name === "colbert")) {
    throw new ClozeError(
      "OPTION_CONFLICT",
      `The pipeline ${name} searches no words: documents are not expanded for it`,
      {
        expected: "--pipeline bm25, hybrid, splade or term-weights",
        received: name,
        remedy: "Choose one of them, or leave --expand-documents out.",
      },
    );
  }
  const files = findCollection(options.data, options.split);
  if (files.split !== undefined && files.split !== (options.split ?? "test"))
    progress.note(`${options.data} has no split test: ${files.split} is scored`);
  const start = performance.now();
  const { queries, qrels } = await readJudgedQueries(files, warnings);
  if (options.writeQrels !== undefined) writeFileAtomic(options.writeQrels, [...qrelsLines(qrels)].join(""));
  let run: Run;
  let documents: number | undefined;
  let expandedDocuments: number | undefined;
  let fused: Omit<Fused, "run"> | undefined;
  if (options.readRun !== undefined) run = await readRun(options.readRun, warnings);
  else {
    const encoder = name === "bm25" ? undefined : encoderFor(name, folder as string, { ...options, warnings });
    const expanded = await openExpansion(options, name);
    const bytes = createMeter("index", () => 0);
    const expander = await openExpander(options, warnings);
    const read = readDocuments(files.corpus, warnings);
    const index = await indexCollection(withTrecIds(expander === undefined ? read : expandAll(read, expander)), {
      lexical: name === "bm25" || name === "hybrid",
      bm25: options,
      keepTexts: expanded !== undefined,
      ...encoder?.parts,
      warnings,
      onProgress: (count) => progress.update(bytes.event(count)),
    });
    progress.done();
    expander?.close();
    expandedDocuments = expander?.expanded;
    documents = index.size;
    countUnknown(qrels, index, warnings, files.qrels);
    if (options.ignoreIdentical !== true) {
      const same = [...queries.keys()].filter((id) => index.has(id)).length;
      if (same * 2 > queries.size)
        progress.note(`${same} queries have the id of a document: if they are the same texts, add --ignore-identical`);
    }
    const words = expanded && index.words ? searchTwice(index.words, expanded.expansion) : index.bm25;
    const vectors = encoder && index[encoder.found];
    if (words && vectors) {
      ({ run, ...fused } = await hybrid([words, vectors], queries, files.split, options, progress));
    } else run = await searchAll((vectors ?? words) as Retriever, queries, options, progress);
    index.dispose();
    expanded?.dispose();
    encoder?.dispose();
  }
  if (options.writeCandidates !== undefined) await writeCandidates(run, queries, qrels, files.corpus, options);
  let reranked: Readonly<Record<string, number>> | undefined;
  if (options.rerank !== undefined) {
    const model = openReranker(await modelFolder(options.rerank, options), options, warnings);
    run = (await rerankRun(model, run, queries, { ...options, corpus: files.corpus, progress })).result;
    reranked = model.report?.();
    model.close();
  }
  const measures = measureRun(run, qrels);
  const seconds = (performance.now() - start) / 1000;
  if (options.run !== undefined) writeRun(options.run, run, `cloze-${name}`);
  noteWarnings(progress, warnings.list());
  printResult(
    options,
    {
      ...measures,
      documents,
      expanded: expandedDocuments,
      pipeline: options.readRun === undefined ? name : undefined,
      expansion: options.expand,
      reranker: reranked,
      split: files.split,
      weights: fused?.weights,
      weightsChosenOn: fused?.chosenOn,
      weightsChosenBy: fused?.chosenBy,
      seconds,
      warnings: warnings.list(),
    },
    () =>
      formatTable([
        [
          `${measures.queries} queries`,
          options.readRun ?? (options.expand === undefined ? name : `${name}, ${options.expand}`),
        ],
        ...(["ndcg@10", "recall@100", "mrr@10", "map"] as const).map((one) => [one, measures[one].toFixed(4)]),
        ...(fused === undefined
          ? []
          : [
              [
                `weights ${fused.chosenOn === undefined ? "as told" : `chosen on ${fused.chosenBy} of ${fused.chosenOn}`}`,
                fused.weights.join(" : "),
              ],
            ]),
      ]),
  );
}
