// Batches of sequences from a corpus, for the training loop.
import { ClozeError } from "../../errors.js";
import type { BatchSource } from "../batch-source.js";
import { type Corpus, totalOf } from "./corpus.js";
import { mixedStream, type SequenceOptions, sequenceStream } from "./corpus-sequences.js";

export interface CorpusBatchOptions extends SequenceOptions {
  /** Tokens of a batch, special ones counted; a batch has one sequence at least. */
  readonly batchTokens: number;
  /** Special tokens that a sequence will get. Default 2. */
  readonly added?: number;
  /** Shares of the sources, in proportion. Default: every token once an epoch. */
  readonly weights?: readonly number[];
}

/** Sequences without special tokens, and which batch of the run they are. */
export interface SequenceBatch {
  readonly sequences: readonly Int32Array[];
  readonly index: number;
}

/** @throws CORPUS_WEIGHTS, CORPUS_EMPTY for a source without text that has a weight */
export function checkWeights({ manifest }: Corpus, weights: readonly number[]): void {
  const { sources } = manifest;
  const fit = weights.length === sources.length && weights.every((weight) => weight >= 0 && Number.isFinite(weight));
  if (!fit || !weights.some((weight) => weight > 0)) {
    throw new ClozeError("CORPUS_WEIGHTS", "A mixture has one weight for each source, none below 0 and not all 0", {
      expected: `${sources.length} number(s)`,
      received: weights.join(", "),
    });
  }
  sources.forEach(({ path, training }, s) => {
    if (weights[s] === 0 || training.tokens > 0) return;
    throw new ClozeError("CORPUS_EMPTY", `${path} has a weight in the mixture and no text to train on`, {
      received: "0 tokens (all held out, or left out as duplicates)",
    });
  });
}

/**
 * An endless stream of batches; see `sequenceStream` for the order, `mixedStream` for weights.
 *
 * @throws CORPUS_WEIGHTS, CORPUS_EMPTY
 */
export function corpusBatches(corpus: Corpus, options: CorpusBatchOptions): BatchSource<SequenceBatch> {
  const { batchTokens, added = 2, weights } = options;
  if (totalOf(corpus.manifest, "training").tokens === 0) {
    throw new ClozeError("CORPUS_EMPTY", "The corpus has no text to train on", { received: "0 tokens" });
  }
  if (weights !== undefined) checkWeights(corpus, weights);
  const stream = weights === undefined ? sequenceStream(corpus, options) : mixedStream(corpus, options, weights);
  let index = 0;
  return {
    next() {
      const sequences: Int32Array[] = [];
      let used = 0;
      do {
        const sequence = stream.next();
        sequences.push(sequence);
        used += sequence.length + added;
      } while (used + stream.peek() + added <= batchTokens);
      return { sequences, index: index++ };
    },
    state: () => ({ index, stream: stream.state() }),
    restore(state) {
      const place = state as { index: number; stream: never };
      index = place.index;
      stream.restore(place.stream);
    },
  };
}
