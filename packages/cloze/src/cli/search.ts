import { type Command, Option } from "commander";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { loadSparseEncoder } from "../embedding/sparse-encoder/sparse-encoder-folder.js";
import { loadTokenEncoder } from "../embedding/token-encoder/token-encoder-folder.js";
import { ClozeError } from "../errors.js";
import type { DocumentStore } from "../retrieval/document-store.js";
import type { ScoredDocument } from "../retrieval/evaluation/ranking.js";
import { fuseRetrievers } from "../retrieval/pipeline/fusion.js";
import { indexBm25, indexDense, indexLateInteraction, indexSparse } from "../retrieval/pipeline/index-retrievers.js";
import type { Retriever } from "../retrieval/pipeline/retriever.js";
import type { IndexedDocument } from "../retrieval/store/document.js";
import type { Filter } from "../retrieval/store/filter.js";
import type { WeightFacts } from "../retrieval/store/manifest.js";
import { checkFingerprint, modelFingerprint } from "../retrieval/store/model-fingerprint.js";
import { noTokens } from "../retrieval/store/token-search.js";
import { noWeights } from "../retrieval/store/weight-search.js";
import { wholeNumber } from "./arguments.js";
import { noteWarnings } from "./data-options.js";
import { openStore } from "./document-store.js";
import { textsOf } from "./embed.js";
import { filterOption } from "./filter-option.js";
import { fusionWeights, pipelines } from "./fusion-option.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, printResult, progressFor } from "./output.js";
import { vectorsOf } from "./text-vectors.js";

interface SearchOptions extends CommonOptions {
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
  if (weights !== undefined) return "splade";
  return tokens !== undefined ? "colbert" : "bm25";
}

/** A retriever over an index, and what ends with it. */
interface OpenedRetriever {
  readonly retriever: Retriever;
  dispose(): void;
}

/** The model that made the vectors, weights or tokens, or the one that is named in its place. */
async function modelOf(folder: string, made: WeightFacts, options: SearchOptions): Promise<string> {
  const model = await modelFolder(options.model ?? made.model, options);
  checkFingerprint(folder, [made], modelFingerprint(model), model);
  return model;
}

async function retrieverOf(
  pipeline: Pipeline,
  folder: string,
  index: DocumentStore,
  options: SearchOptions,
): Promise<OpenedRetriever> {
  const words = indexBm25(index);
  if (pipeline === "bm25") return { retriever: words, dispose() {} };
  const { vectors, weights, tokens } = index.settings;
  if (pipeline === "splade") {
    if (weights === undefined) throw noWeights(folder);
    const encoder = loadSparseEncoder(await modelOf(folder, weights, options));
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

/** `cloze search` */
export function addSearch(program: Command): void {
  program
    .command("search")
    .description("search an index that cloze index has made")
    .argument("<folder|url>", "the index; or postgres://…?schema=name")
    .argument("[queries...]", "queries; or use --input")
    .option("--input <file>", "one query a line; - for standard input")
    .option("--top <count>", "documents per query", wholeNumber(1), 10)
    .addOption(
      new Option(
        "--pipeline <name>",
        "how documents are found (default: hybrid where the index has vectors, splade where it has weights, colbert where it has token vectors, else bm25)",
      ).choices(pipelines),
    )
    .option("--weights <bm25,dense>", "of hybrid's parts, standardised", fusionWeights, [0.3, 0.7])
    .option(`--model ${modelArgument}`, "the model of the index (default: where it was when the index was made)")
    .option("--exact", "colbert: look at the tokens of every document, not only of those that PLAID's stages leave")
    .option(
      "--filter <condition>",
      "on a field: lang=en, lang=en,de, lang!=en, year>=2010; may be repeated",
      filterOption,
    )
    .action(async (folder: string, given: string[], options: SearchOptions) => {
      const queries = textsOf(given, options.input);
      const progress = progressFor(options);
      const index = await openStore(folder);
      const name = options.pipeline ?? usualPipeline(index.settings);
      const { retriever, dispose } = await retrieverOf(name, folder, index, options);
      const start = performance.now();
      const rankings = await retriever.search(queries, { depth: options.top, filter: options.filter });
      const milliseconds = performance.now() - start;
      const results: { query: string; hits: (Partial<IndexedDocument> & ScoredDocument)[] }[] = [];
      for (const [q, query] of queries.entries()) {
        const documents = await index.get(rankings[q].map(({ id }) => id));
        results.push({ query, hits: rankings[q].map((hit, place) => ({ ...documents[place], ...hit })) });
      }
      const documents = await index.size();
      noteWarnings(progress, index.warnings());
      await index.close();
      dispose();
      printResult(options, { results, documents, pipeline: name, milliseconds }, () =>
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
    });
}
