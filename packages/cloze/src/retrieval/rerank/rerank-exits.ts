// A ranker with early exits in a pipeline, and its training.
import { createAdamW, decayGroups } from "@cloze/tensor";
import { shuffledBatches } from "../../data/batch-source.js";
import type { Sequence } from "../../data/packed-batch.js";
import { createWarnings, type DataWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import { encodeText } from "../../tasks/encode-text.js";
import type { Tokenizer } from "../../text/index.js";
import { type TrainOptions, type TrainResult, train, warmupLinear } from "../../training/trainer.js";
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
  const { depth = 100, firstStageWeight = 0, exits, cascade } = options;
  return {
    name: cascade === undefined ? "early exit" : "cascade",
    async rerank(query, ranking) {
      const head = ranking.slice(0, depth);
      if (head.length === 0) return ranking;
      const pairs = head.map(({ id }) => ({ query, document: withTitle(texts(id) ?? { text: "" }) }));
      const sequences = sequencesOf(pairs, options);
      const found = cascade === undefined ? ranker.score(sequences, exits) : ranker.cascade(sequences, cascade);
      return reorder(ranking, depth, found.scores, firstStageWeight);
    },
  };
}

export interface TrainExitsOptions
  extends ExitTexts,
    Pick<
      TrainOptions<readonly number[]>,
      "steps" | "minutes" | "folder" | "resume" | "checkpointMinutes" | "seed" | "progress" | "shouldStop"
    > {
  /** Times that every row is seen, instead of `steps`. */
  epochs?: number;
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
export async function trainExits(
  ranker: ExitRanker,
  rows: readonly ExitRow[],
  options: TrainExitsOptions,
): Promise<TrainResult> {
  const { seed = 1, epochs, learningRate = 3e-6 } = options;
  if (rows.length === 0) throw new ClozeError("TRAINING_ROWS", "There are no rows to learn from");
  const batchSize = Math.min(options.batchSize ?? 32, rows.length);
  const optimizer = createAdamW(decayGroups(ranker.parameters, { learningRate, weightDecay: 0.01 }));
  try {
    return await train<readonly number[]>({
      ...options,
      steps:
        options.steps ??
        (epochs === undefined ? undefined : Math.max(1, Math.round((epochs * rows.length) / batchSize))),
      parameters: new Map(ranker.parameters),
      optimizer,
      schedule: warmupLinear(0.1),
      source: shuffledBatches(rows.length, batchSize, seed, (positions) => Array.from(positions)),
      settings: { learningRate, batchSize, exits: ranker.exits },
      loss(batch, { seed: at }) {
        const chosen = batch.map((i) => rows[i]);
        const relevant = chosen.map((row) => Number(row.relevant));
        return ranker.loss(sequencesOf(chosen, options), relevant, { training: true, seed: at });
      },
      describe: (batch) => batch.slice(0, 8).map((i) => rows[i]),
    });
  } finally {
    optimizer.dispose();
  }
}
