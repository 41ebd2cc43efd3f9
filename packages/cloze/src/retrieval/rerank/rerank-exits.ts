// A ranker with early exits in a pipeline, and its training.
import type { Sequence } from "../../data/packed-batch.js";
import { createWarnings, type DataWarnings } from "../../data/readers/warnings.js";
import { encodeText } from "../../tasks/encode-text.js";
import type { Tokenizer } from "../../text/index.js";
import { type RowTrainingOptions, trainOnRows } from "../../training/train-on-rows.js";
import type { TrainResult } from "../../training/trainer.js";
import type { Reranker } from "../pipeline/retriever.js";
import type { ExitRanker, ExitThresholds } from "./early-exit.js";
import { reorder } from "./first-stage-weight.js";
import { type DocumentTexts, type RerankOptions, withTitle } from "./rerankers.js";

/** How texts become what the ranker reads. */
export interface ExitTexts {
  readonly tokenizer: Tokenizer;
  /** Tokens of a query with a document at most; default 256, or as many as the model has positions. */
  readonly maxLength?: number;
  readonly warnings?: DataWarnings;
}

/** A query and a document, and whether it is relevant. */
export interface ExitRow {
  readonly query: string;
  readonly document: string;
  readonly relevant: boolean;
}

export interface RerankExitsOptions extends RerankOptions, ExitTexts {
  /** Candidates leave when an exit is sure. Default: positive 0.99, negative 0.9. */
  exits?: ExitThresholds;
  /** Instead: this share of the candidates, the worst, leaves at each exit. */
  cascade?: number;
  /** Receives how many layers read each candidate of a query. */
  onLayers?: (layers: Int32Array) => void;
}

const sequencesOf = (
  pairs: readonly { readonly query: string; readonly document: string }[],
  { tokenizer, maxLength = 256, warnings = createWarnings() }: ExitTexts,
): Sequence[] =>
  pairs.map(({ query, document }, i) =>
    encodeText({ text: query, pair: document, row: i + 1 }, { tokenizer, maxLength, training: false, warnings }),
  );

/**
 * A stage that lets candidates leave the ranker early.
 *
 * @example
 * const search = pipeline(bm25, rerankExits(ranker, texts, { tokenizer, exits: { positive: 0.99, negative: 0.9 } }));
 */
export function rerankExits(ranker: ExitRanker, texts: DocumentTexts, options: RerankExitsOptions): Reranker {
  const { depth = 100, firstStageWeight = 0, exits, cascade, onLayers } = options;
  return {
    name: cascade === undefined ? "early exit" : "cascade",
    async rerank(query, ranking) {
      const head = ranking.slice(0, depth);
      if (head.length === 0) return ranking;
      const pairs = head.map(({ id }) => ({ query, document: withTitle(texts(id) ?? { text: "" }) }));
      const sequences = sequencesOf(pairs, options);
      const found = cascade === undefined ? ranker.score(sequences, exits) : ranker.cascade(sequences, cascade);
      onLayers?.(found.layers);
      return reorder(ranking, depth, found.scores, firstStageWeight);
    },
  };
}

export interface TrainExitsOptions extends ExitTexts, RowTrainingOptions {
  /** Rows of a batch. Default 32. */
  batchSize?: number;
  /** Default 3e-6, as the paper has it for models that rank already; higher from others. */
  learningRate?: number;
}

/**
 * Trains encoder and exits by the sum of the cross-entropies of all exits.
 *
 * @throws TRAINING_ROWS without rows, and what `train` throws
 */
export function trainExits(
  ranker: ExitRanker,
  rows: readonly ExitRow[],
  { tokenizer, maxLength, warnings, ...options }: TrainExitsOptions,
): Promise<TrainResult> {
  return trainOnRows(
    {
      parameters: ranker.parameters,
      rows,
      batchSize: 32,
      learningRate: 3e-6,
      weightDecay: 0.01,
      settings: { exits: ranker.exits },
      loss(batch, seed) {
        const chosen = batch.map((i) => rows[i]);
        const relevant = chosen.map((row) => Number(row.relevant));
        const sequences = sequencesOf(chosen, { tokenizer, maxLength, warnings });
        return ranker.loss(sequences, relevant, { training: true, seed });
      },
    },
    options,
  );
}
