import { type Command, Option } from "commander";
import { createWarnings } from "../data/readers/warnings.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { loadTokenEncoder } from "../embedding/token-encoder/token-encoder-folder.js";
import { ClozeError } from "../errors.js";
import type { DocumentStore } from "../retrieval/document-store.js";
import type { Ranking, ScoredDocument } from "../retrieval/evaluation/ranking.js";
import { searchTwice } from "../retrieval/pipeline/feedback/index.js";
import { fuseRetrievers } from "../retrieval/pipeline/fusion.js";
import {
  indexBm25,
  indexDense,
  indexLateInteraction,
  indexSparse,
  indexTermWeights,
} from "../retrieval/pipeline/index-retrievers.js";
import type { Retriever } from "../retrieval/pipeline/retriever.js";
import { storeWordIndex } from "../retrieval/pipeline/word-index.js";
import { type ShownDocument, searchedText, shownDocument } from "../retrieval/store/document.js";
import type { Filter } from "../retrieval/store/filter.js";
import type { ModelFacts } from "../retrieval/store/manifest.js";
import { checkFingerprint, modelFingerprint } from "../retrieval/store/model-fingerprint.js";
import { noTokens } from "../retrieval/store/token-search.js";
import { noWeights } from "../retrieval/store/weight-search.js";
import { loadTermReader } from "../retrieval/term-weighting/term-weighter-folder.js";
import { wholeNumber } from "./arguments.js";
import { noteWarnings } from "./data-options.js";
import { openStore } from "./document-store.js";
import { textsOf } from "./embed.js";
import { type ExpansionOptions, openExpansion, withExpansionOptions } from "./expansion-option.js";
import { filterOption } from "./filter-option.js";
import { fusionWeights, pipelines } from "./fusion-option.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { printResult, progressFor } from "./output.js";
import { type RerankOptions, withRerankOptions } from "./rerank-options.js";
import { type OpenedReranker, openReranker } from "./reranker-kinds.js";
import { loadTermEncoder } from "./term-encoders.js";
import { vectorsOf } from "./text-vectors.js";

interface SearchOptions extends ExpansionOptions, RerankOptions {
  rerank?: string;
  input?: string;
  top: number;
  pipeline?: Pipeline;
  weights: [number, number];
  model?: string;
  exact?: boolean;
  filter?: Filter;
}

type Pipeline = (typeof pipelines)[number];

function usualPipeline({ vectors, weights, tokens }: DocumentStore["settings"]): Pipeline {
  if (vectors !== undefined) return "hybrid";
  if (weights !== undefined) return weights.terms === "words" ? "term-weights" : "splade";
  return tokens !== undefined ? "colbert" : "bm25";
}

/** A retriever over an index, and what ends with it. */
interface OpenedRetriever {
  readonly retriever: Retriever;
  dispose(): void;
}

/** The model that made the vectors, weights or tokens, or the one that is named in its place. */
async function modelOf(folder: string, made: ModelFacts, options: SearchOptions): Promise<string> {
  const model = await modelFolder(options.model ?? made.model, options);
  checkFingerprint(folder, [made], modelFingerprint(model), model);
  return model;
}

async function retrieverOf(
  pipeline: Pipeline,
  folder: string,
  index: DocumentStore,
  words: Retriever,
  options: SearchOptions,
): Promise<OpenedRetriever> {
  if (pipeline === "bm25") return { retriever: words, dispose() {} };
  const { vectors, weights, tokens } = index.settings;
  if (pipeline === "term-weights") {
    if (weights?.terms !== "words") throw noWeights(folder, "words");
    // Queries are read without the model.
    const reader = loadTermReader(await modelOf(folder, weights, options));
    return { retriever: indexTermWeights(index, reader), dispose() {} };
  }
  if (pipeline === "splade") {
    if (weights === undefined || weights.terms === "words") throw noWeights(folder);
    const encoder = loadTermEncoder(await modelOf(folder, weights, options));
    const encode = (queries: readonly string[]) => encoder.encode(queries, { role: "query" });
    return { retriever: indexSparse(index, encode), dispose: () => encoder.dispose() };
  }
  if (pipeline === "colbert") {
    if (tokens === undefined) throw noTokens(folder);
    const encoder = loadTokenEncoder(await modelOf(folder, tokens, options));
    const encode = (queries: readonly string[]) => encoder.encode(queries, { role: "query" });
    return {
      retriever: indexLateInteraction(index, encode, { exact: options.exact }),
      dispose: () => encoder.dispose(),
    };
  }
  if (vectors === undefined) {
    throw new ClozeError("INDEX_NO_VECTORS", `${folder} holds no vectors`, {
      remedy: `Take --pipeline ${usualPipeline(index.settings)}, or index the documents again with an embedder as --model.`,
    });
  }
  const embedder = loadEmbedder(await modelOf(folder, vectors, options));
  const dense = indexDense(index, vectorsOf(embedder));
  return {
    retriever: pipeline === "dense" ? dense : fuseRetrievers([words, dense], { weights: options.weights }),
    dispose: () => embedder.dispose(),
  };
}

/** The rankings of queries in new orders, cut to what is asked for. */
async function rerankAll(
  reranker: OpenedReranker,
  queries: readonly string[],
  rankings: readonly Ranking[],
  index: DocumentStore,
  { rerankDepth, top }: SearchOptions,
): Promise<Ranking[]> {
  const result: Ranking[] = [];
  for (const [q, query] of queries.entries()) {
    const ids = rankings[q].slice(0, rerankDepth).map(({ id }) => id);
    const documents = await index.get(ids);
    const texts = new Map(ids.map((id, place) => [id, documents[place]]));
    const stage = reranker.stage(
      (id) => texts.get(id),
      () => documents.map((document) => (document === undefined ? "" : searchedText(document))),
    );
    result.push((await stage.rerank(query, rankings[q])).slice(0, top));
  }
  return result;
}

/** `cloze search` */
export function addSearch(program: Command): void {
  const command = program
    .command("search")
    .description("search an index that cloze index has made")
    .argument("<folder|url>", "the index; or postgres://…?schema=name")
    .argument("[queries...]", "queries; or use --input")
    .option("--input <file>", "one query a line; - for standard input")
    .option("--top <count>", "documents per query", wholeNumber(1), 10)
    .addOption(
      new Option(
        "--pipeline <name>",
        "how documents are found (default: hybrid where the index has vectors, splade or term-weights where it has weights, colbert where it has token vectors, else bm25)",
      ).choices(pipelines),
    )
    .option("--weights <bm25,dense>", "of hybrid's parts, standardised", fusionWeights, [0.3, 0.7])
    .option(`--model ${modelArgument}`, "the model of the index (default: where it was when the index was made)")
    .option("--exact", "colbert: look at the tokens of every document, not only of those that PLAID's stages leave")
    .option(
      "--filter <condition>",
      "on a field: lang=en, lang=en,de, lang!=en, year>=2010; may be repeated",
      filterOption,
    );
  command.option(
    `--rerank ${modelArgument}`,
    "a cross-encoder, or a reranker of train-retrieval, that puts what was found into a new order",
  );
  withExpansionOptions(withRerankOptions(command)).action(
    async (folder: string, given: string[], options: SearchOptions) => {
      const queries = textsOf(given, options.input);
      const progress = progressFor(options);
      const index = await openStore(folder);
      const name = options.pipeline ?? usualPipeline(index.settings);
      const expanded = await openExpansion(options, name);
      const words = expanded ? searchTwice(storeWordIndex(index), expanded.expansion) : indexBm25(index);
      const { retriever, dispose } = await retrieverOf(name, folder, index, words, options);
      const warned = createWarnings();
      const reranker =
        options.rerank === undefined
          ? undefined
          : openReranker(await modelFolder(options.rerank, options), options, warned);
      const start = performance.now();
      const depth = Math.max(options.top, reranker === undefined ? 0 : options.rerankDepth);
      let rankings = await retriever.search(queries, { depth, filter: options.filter });
      if (reranker !== undefined) rankings = await rerankAll(reranker, queries, rankings, index, options);
      const milliseconds = performance.now() - start;
      const results: { query: string; hits: (Partial<ShownDocument> & ScoredDocument)[] }[] = [];
      for (const [q, query] of queries.entries()) {
        const documents = await index.get(rankings[q].map(({ id }) => id));
        const shown = documents.map((document) => document && shownDocument(document));
        results.push({ query, hits: rankings[q].map((hit, place) => ({ ...shown[place], ...hit })) });
      }
      const documents = await index.size();
      const warnings = [...index.warnings(), ...warned.list()];
      noteWarnings(progress, warnings);
      await index.close();
      dispose();
      expanded?.dispose();
      const report = reranker?.report?.();
      reranker?.close();
      const { expand: expansion, rerank } = options;
      printResult(
        options,
        { results, documents, pipeline: name, expansion, rerank, reranker: report, milliseconds, warnings },
        () =>
          results
            .map(({ query, hits }) =>
              [
                `${query}`,
                ...hits.map(({ id, score, title, text = "" }, place) => {
                  const shown = [title, text].filter(Boolean).join(" · ").replace(/\s+/g, " ");
                  return `${String(place + 1).padStart(3)}. ${score.toFixed(4)}  ${id}  ${shown.slice(0, 100)}`;
                }),
              ].join("\n"),
            )
            .join("\n\n"),
      );
    },
  );
}
