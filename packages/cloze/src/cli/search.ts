import { type Command, Option } from "commander";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { ClozeError } from "../errors.js";
import type { ScoredDocument } from "../retrieval/evaluation/ranking.js";
import { fuseRetrievers } from "../retrieval/pipeline/fusion.js";
import { indexBm25, indexDense } from "../retrieval/pipeline/index-retrievers.js";
import type { Retriever } from "../retrieval/pipeline/retriever.js";
import type { IndexedDocument } from "../retrieval/store/document.js";
import type { Filter } from "../retrieval/store/filter.js";
import { modelFingerprint } from "../retrieval/store/model-fingerprint.js";
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
  pipeline?: (typeof pipelines)[number];
  weights: [number, number];
  model?: string;
  filter?: Filter;
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
        "how documents are found (default: hybrid where the index has vectors, else bm25)",
      ).choices(pipelines),
    )
    .option("--weights <bm25,dense>", "of hybrid's parts, standardised", fusionWeights, [0.3, 0.7])
    .option(`--model ${modelArgument}`, "the embedder of the index (default: where it was when the index was made)")
    .option(
      "--filter <condition>",
      "on a field: lang=en, lang=en,de, lang!=en, year>=2010; may be repeated",
      filterOption,
    )
    .action(async (folder: string, given: string[], options: SearchOptions) => {
      const queries = textsOf(given, options.input);
      const progress = progressFor(options);
      const index = await openStore(folder);
      const { vectors } = index.settings;
      const name = options.pipeline ?? (vectors === undefined ? "bm25" : "hybrid");
      let retriever: Retriever = indexBm25(index);
      let dispose = () => {};
      if (name !== "bm25") {
        if (vectors === undefined) {
          throw new ClozeError("INDEX_NO_VECTORS", `${folder} holds words only`, {
            remedy: "Take --pipeline bm25, or index the documents again with --model.",
          });
        }
        const model = await modelFolder(options.model ?? vectors.model, options);
        const found = modelFingerprint(model);
        if (found !== vectors.fingerprint) {
          throw new ClozeError("INDEX_MODEL", `${folder} was made with another model`, {
            expected: `${vectors.model} (${vectors.fingerprint.slice(0, 12)})`,
            received: `${model} (${found.slice(0, 12)})`,
            remedy: "Name the model that made the index with --model, or index the documents again.",
          });
        }
        const embedder = loadEmbedder(model);
        dispose = () => embedder.dispose();
        const dense = indexDense(index, vectorsOf(embedder));
        retriever = name === "dense" ? dense : fuseRetrievers([retriever, dense], { weights: options.weights });
      }
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
