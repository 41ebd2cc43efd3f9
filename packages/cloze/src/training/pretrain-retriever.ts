// A retriever out of a corpus without labels: two towers, trained on pairs that articles make themselves (arXiv 2002.03932).
import { copyOf, type Tensor } from "@cloze/tensor";
import type { DocumentSource } from "../data/document-source.js";
import { packSequences } from "../data/packed-batch.js";
import type { Model } from "../families/model.js";
import type { ObjectiveVocabulary } from "../objectives/index.js";
import { createTowers, passageSequence, querySequence } from "../objectives/retrieval-pairs.js";
import { type PretrainOptions, type PretrainResult, pretrain } from "./pretrain.js";

export interface PretrainRetrieverOptions extends Omit<PretrainOptions, "objective" | "inspect"> {
  /** How often each task is drawn. Default 1 each. */
  tasks?: { readonly ict?: number; readonly bfs?: number; readonly wlp?: number };
  /** Chance of an ICT query to stay in its passage. Default 0.1. */
  keepQuery?: number;
  /** A matrix takes vectors to so many numbers; 0: none. Default 512. */
  dims?: number;
  /** Default "shared". */
  towers?: "shared" | "separate";
  /** Default "mean". */
  pooling?: "first" | "mean";
  /** Default "cosine", times 20. */
  similarity?: "cosine" | "dot";
  /** Default 64 and 288. */
  queryLength?: number;
  passageLength?: number;
}

/** Two sides that give vectors to compare as in training. */
export interface PretrainedRetriever {
  readonly run: PretrainResult;
  /** Texts as ids without special tokens. -> [texts, width] */
  query(texts: readonly Int32Array[]): Tensor;
  document(passages: readonly { readonly title?: Int32Array; readonly passage: Int32Array }[]): Tensor;
  /** Frees what stands beside the model. */
  dispose(): void;
}

/**
 * Trains a model (its class "Model") and what stands beside it on inverse cloze, body-first and link pairs of articles.
 *
 * @throws what `pretrain` throws
 * @example
 * const { query, document } = await pretrainRetriever(model, tokenizer, articles, { steps: 1000, dims: 128 });
 */
export async function pretrainRetriever(
  model: Model,
  vocabulary: ObjectiveVocabulary,
  corpus: DocumentSource,
  options: PretrainRetrieverOptions = {},
): Promise<PretrainedRetriever> {
  const {
    tasks = {},
    keepQuery = 0.1,
    dims = 512,
    towers = "shared",
    pooling = "mean",
    similarity = "cosine",
  } = options;
  const { queryLength = 64, passageLength = 288, seed = 1, ...run } = options;
  const { ict = 1, bfs = 1, wlp = 1 } = tasks;
  const config = { dimensions: dims, towers, pooling };
  const beside = new Map<string, Tensor>();
  const result = await pretrain(model, vocabulary, corpus, {
    ...run,
    seed,
    objective: { type: "retrieval-pairs", ict, bfs, wlp, keepQuery, similarity, queryLength, passageLength, ...config },
    inspect({ parameters }) {
      for (const [name, value] of parameters) beside.set(name, copyOf(value).keep("weights"));
    },
  });
  const { maxPositions, segmentVocabularySize } = model.encoder.config;
  const sides = createTowers(config, { model, seed }, (name) => beside.get(name));
  return {
    run: result,
    query: (texts) =>
      sides.queries(
        packSequences(texts.map((ids) => querySequence(ids, vocabulary, Math.min(queryLength, maxPositions)))),
      ),
    document: (passages) =>
      sides.passages(
        packSequences(
          passages.map(({ title = new Int32Array(0), passage }) =>
            passageSequence(title, passage, vocabulary, Math.min(passageLength, maxPositions), segmentVocabularySize),
          ),
        ),
      ),
    dispose: sides.dispose,
  };
}
