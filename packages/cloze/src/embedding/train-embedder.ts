// Contrastive training of an embedder on pairs of texts.
import { createAdamW, type Tensor } from "@cloze/tensor";
import { type BatchSource, shuffledBatches } from "../data/batch-source.js";
import type { PackedBatch } from "../data/packed-batch.js";
import { ClozeError } from "../errors.js";
import { cachedContrastive, contrastiveLoss } from "../objectives/contrastive.js";
import { type TrainOptions, type TrainResult, train } from "../training/trainer.js";
import type { Embedder } from "./embedder.js";
import { packIds, tokenizeTexts } from "./text-roles.js";

/** A text, what answers it, and (optionally) texts that do not. */
export interface TextPair {
  readonly query: string;
  readonly document: string;
  readonly negatives?: readonly string[];
}

interface ContrastiveBatch {
  readonly queries: PackedBatch;
  readonly documents: PackedBatch;
}

type RunOptions = Pick<
  TrainOptions<ContrastiveBatch>,
  | "steps"
  | "minutes"
  | "folder"
  | "resume"
  | "checkpointMinutes"
  | "schedule"
  | "seed"
  | "progress"
  | "shouldStop"
  | "task"
>;

export interface TrainEmbedderOptions extends RunOptions {
  /** Highest learning rate. Default 2e-5, for a pre-trained encoder; from scratch take 1e-3 or more. */
  learningRate?: number;
  /** Of the word table, where it should differ. Default: `learningRate`. */
  tableLearningRate?: number;
  /** Default 0.01; the tables do not decay. */
  weightDecay?: number;
  /** Pairs of a batch: the other documents of the batch are the wrong answers. Default 64. */
  batchSize?: number;
  /** Pairs that are embedded at once, where a batch is larger than memory allows (GradCache). Default: all. */
  chunkSize?: number;
  /** What cosines are divided by. Default 0.05. */
  temperature?: number;
  /** Rank queries for documents too. Default true. */
  symmetric?: boolean;
  /** Use the first layers only; the others rest. Default: all. */
  depth?: number;
  /** Decay rate of the second moment. Default 0.999. */
  beta2?: number;
}

const pick = (rows: readonly Int32Array[], positions: Int32Array) => Array.from(positions, (i) => rows[i]);

/** Joins two batches into one. */
function joinBatches(first: PackedBatch, second: PackedBatch): PackedBatch {
  const tokens = first.ids.length;
  const join = (a: Int32Array, b: Int32Array) => {
    const result = new Int32Array(a.length + b.length);
    result.set(a);
    result.set(b, a.length);
    return result;
  };
  return {
    ids: join(first.ids, second.ids),
    segments: join(first.segments, second.segments),
    positions: join(first.positions, second.positions),
    offsets: join(
      first.offsets,
      second.offsets.subarray(1).map((end) => end + tokens),
    ),
  };
}

/** Sequences [start, end) of a batch. */
function sliceBatch(batch: PackedBatch, start: number, end: number): PackedBatch {
  const [from, to] = [batch.offsets[start], batch.offsets[end]];
  return {
    ids: batch.ids.subarray(from, to),
    segments: batch.segments.subarray(from, to),
    positions: batch.positions.subarray(from, to),
    offsets: batch.offsets.slice(start, end + 1).map((offset) => offset - from),
  };
}

function pairSource(
  embedder: Embedder,
  pairs: readonly TextPair[],
  size: number,
  seed: number,
): BatchSource<ContrastiveBatch> {
  const { roles } = embedder.options;
  const tokenize = (texts: readonly string[], role: "query" | "document") =>
    tokenizeTexts(embedder.tokenizer, texts, embedder.options, roles[role]);
  const queries = tokenize(
    pairs.map(({ query }) => query),
    "query",
  );
  const documents = tokenize(
    pairs.map(({ document }) => document),
    "document",
  );
  const negatives = pairs.map((pair) => (pair.negatives?.length ? tokenize(pair.negatives, "document") : []));
  return shuffledBatches(pairs.length, size, seed, (positions) => {
    const wrong = Array.from(positions, (i) => negatives[i]).flat();
    const right = packIds(pick(documents, positions), roles.document);
    return {
      queries: packIds(pick(queries, positions), roles.query),
      documents: wrong.length > 0 ? joinBatches(right, packIds(wrong, roles.document)) : right,
    };
  });
}

/**
 * Trains so that each query is nearest to its own document among those of its batch (InfoNCE with in-batch and given hard
 * negatives).
 *
 * @throws TRAINING_PAIRS when there are fewer than two pairs, and what `train` throws
 * @example
 * await trainEmbedder(embedder, [{ query: "a small cat", document: "kitten" }, …], { steps: 500 });
 */
export async function trainEmbedder(
  embedder: Embedder,
  pairs: readonly TextPair[],
  options: TrainEmbedderOptions = {},
): Promise<TrainResult> {
  const { learningRate = 2e-5, weightDecay = 0.01, temperature = 0.05, symmetric = true, seed = 1, depth } = options;
  const { tableLearningRate = learningRate, beta2 = 0.999 } = options;
  const batchSize = Math.min(options.batchSize ?? 64, pairs.length);
  const chunkSize = Math.min(options.chunkSize ?? batchSize, batchSize);
  if (batchSize < 2) {
    throw new ClozeError("TRAINING_PAIRS", "Contrastive training compares the pairs of a batch", {
      expected: "at least two pairs",
      received: String(pairs.length),
    });
  }
  const { parameters } = embedder.model.encoder;
  const isTable = (name: string) => name.startsWith("embeddings.");
  const group = (name: string, wanted: (key: string, parameter: Tensor) => boolean, rate: number, decay: number) => ({
    name,
    parameters: [...parameters].filter(([key, parameter]) => wanted(key, parameter)),
    learningRate: rate,
    weightDecay: decay,
  });
  const optimizer = createAdamW(
    [
      group("tables", isTable, tableLearningRate, 0),
      group("matrices", (key, { rank }) => !isTable(key) && rank > 1, learningRate, weightDecay),
      group("vectors", (key, { rank }) => !isTable(key) && rank <= 1, learningRate, 0),
    ],
    { beta2 },
  );
  const contrast = { temperature, symmetric };
  return train<ContrastiveBatch>({
    ...options,
    parameters,
    optimizer,
    source: pairSource(embedder, pairs, batchSize, seed),
    tokens: ({ queries, documents }) => queries.ids.length + documents.ids.length,
    settings: {
      learningRate,
      tableLearningRate,
      weightDecay,
      temperature,
      symmetric,
      batchSize,
      depth,
      pairs: pairs.length,
    },
    loss({ queries, documents }, context) {
      const forward = (batch: PackedBatch, place: number) =>
        embedder.embedBatch(batch, { training: true, seed: (context.seed * 31 + place) | 0, depth });
      if (chunkSize === batchSize) return contrastiveLoss(forward(queries, 0), forward(documents, 1), contrast);
      const parts = Math.ceil(batchSize / chunkSize);
      const part = (batch: PackedBatch, index: number) => {
        const last = index === parts - 1;
        return sliceBatch(batch, index * chunkSize, last ? batch.offsets.length - 1 : (index + 1) * chunkSize);
      };
      return cachedContrastive(
        parts,
        (i) => forward(part(queries, i), 2 * i),
        (i) => forward(part(documents, i), 2 * i + 1),
        contrast,
      );
    },
  }).finally(() => optimizer.dispose());
}
