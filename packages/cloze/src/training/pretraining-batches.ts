// Where the batches of pre-training come from: a token store, a corpus of any size, or documents, as the objective reads them.
import { type BatchSource, budgetBatches } from "../data/batch-source.js";
import {
  allSequences,
  type Corpus,
  corpusBatches,
  type SequenceBatch,
  trainingDocuments,
} from "../data/corpus/index.js";
import type { DocumentSource } from "../data/document-source.js";
import type { InputSource } from "../data/input-source.js";
import { type PackedBatch, packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import type { TokenStore } from "../data/token-store.js";
import { ClozeError } from "../errors.js";
import type { Objective, ObjectiveVocabulary } from "../objectives/index.js";

/** What pre-training reads: tokens in a row, documents for objectives that ask for their structure, or what is no text. */
export type PretrainCorpus = TokenStore | Corpus | DocumentSource | InputSource;

export interface PretrainingBatchOptions {
  readonly maxLength: number;
  readonly batchTokens: number;
  readonly seed: number;
  /** Of a corpus: shares of its sources in the tokens, in proportion. Default: every token once an epoch. */
  readonly weights?: readonly number[];
  /** Of a corpus: sequences run on from one document into the next, with the separator between. Default false. */
  readonly crossDocuments?: boolean;
}

const isDocuments = (corpus: PretrainCorpus): corpus is DocumentSource => "document" in corpus;
/** A corpus on disk, of any size. */
export const isCorpus = (corpus: PretrainCorpus): corpus is Corpus => "manifest" in corpus;

/** Whether it holds texts out to measure the loss on. */
export const holdsOut = (
  corpus: PretrainCorpus,
): corpus is Corpus | (DocumentSource & { readonly heldOut: DocumentSource }) =>
  isCorpus(corpus) || (isDocuments(corpus) && corpus.heldOut !== undefined);

const isInput = (corpus: PretrainCorpus): corpus is InputSource => "pack" in corpus;

/** What tells one corpus from another: a run goes on with the one that it began with. */
export const corpusSettings = (corpus: PretrainCorpus): Readonly<Record<string, unknown>> =>
  isCorpus(corpus) ? { corpus: corpus.manifest.fingerprint } : { count: corpus.count, tokens: corpus.tokens };

/** Batches of sequences with special tokens around them, prepared for the objective. */
function sequenceBatches(
  store: TokenStore,
  { prepare }: Pick<Required<Objective>, "prepare">,
  { clsId, sepId }: ObjectiveVocabulary,
  { maxLength, batchTokens, seed }: { maxLength: number; batchTokens: number; seed: number },
): BatchSource<unknown> {
  const room = maxLength - 2;
  const cut = (ids: Int32Array, index: number): Int32Array => {
    // A long document shows another window each time.
    const start = ids.length > room ? Math.floor(randomSource(seed, 2, index)() * (ids.length - room + 1)) : 0;
    return Int32Array.from([clsId, ...ids.subarray(start, start + room), sepId]);
  };
  return budgetBatches(
    store.count,
    (position) => Math.min(room, store.length(position)) + 2,
    batchTokens,
    seed,
    (positions, index) => {
      const sequences = Array.from(positions, (position, i) => ({
        ids: cut(store.sequence(position), index * 4096 + i),
      }));
      return prepare(packSequences(sequences), randomSource(seed, 3, index));
    },
  );
}

/** The training documents of a corpus, to count what is in them; undefined where they are more than tokens in a row. */
export function textsOf(corpus: PretrainCorpus): (() => Iterable<Int32Array>) | undefined {
  if (isDocuments(corpus) || isInput(corpus)) return undefined;
  if (isCorpus(corpus)) return () => trainingDocuments(corpus);
  return function* () {
    for (let i = 0; i < corpus.count; i++) yield corpus.sequence(i);
  };
}

/** Sequences with their special tokens, packed. */
const packed = (sequences: readonly Int32Array[], { clsId, sepId }: ObjectiveVocabulary): PackedBatch =>
  packSequences(sequences.map((ids) => ({ ids: Int32Array.from([clsId, ...ids, sepId]) })));

const lengthsOf = ({ sepId }: ObjectiveVocabulary, { maxLength, seed, crossDocuments }: PretrainingBatchOptions) => ({
  length: maxLength - 2,
  seed,
  ...(crossDocuments === true ? { crossWith: sepId } : {}),
});

/** Batches of sequences of a corpus. */
function corpusBatchesFor(
  corpus: Corpus,
  { prepare }: Pick<Required<Objective>, "prepare">,
  vocabulary: ObjectiveVocabulary,
  options: PretrainingBatchOptions,
): BatchSource<unknown> {
  const { batchTokens, weights, seed } = options;
  const source = corpusBatches(corpus, { ...lengthsOf(vocabulary, options), batchTokens, weights });
  return mapBatches(source, ({ sequences, index }) =>
    prepare(packed(sequences, vocabulary), randomSource(seed, 3, index)),
  );
}

const mapBatches = (
  source: BatchSource<SequenceBatch>,
  make: (batch: SequenceBatch) => unknown,
): BatchSource<unknown> => ({
  ...source,
  next: () => make(source.next()),
});

/**
 * The held-out sequences of a corpus, prepared for the objective in the same way each time.
 *
 * @param mostTokens the end, where the corpus does not end before
 */
export function* validationBatches(
  corpus: Corpus,
  { prepare }: Objective,
  vocabulary: ObjectiveVocabulary,
  options: PretrainingBatchOptions,
  mostTokens = Number.POSITIVE_INFINITY,
): Generator<unknown> {
  if (prepare === undefined) return;
  const { batchTokens } = options;
  let sequences: Int32Array[] = [];
  let [used, given, index] = [0, 0, 0];
  const flush = (): unknown => {
    const batch = packed(sequences, vocabulary);
    sequences = [];
    given += used;
    used = 0;
    // Not the run's seed: losses of runs with other seeds are of the same masked tokens.
    return prepare(batch, randomSource(0x5eed, index++));
  };
  for (const ids of allSequences(corpus, { ...lengthsOf(vocabulary, { ...options, seed: 0 }), state: "validation" })) {
    if (sequences.length > 0 && used + ids.length + 2 > batchTokens) yield flush();
    if (given >= mostTokens) return;
    sequences.push(ids);
    used += ids.length + 2;
  }
  if (sequences.length > 0) yield flush();
}

/** Batches of what is no text: nothing stands around it, and nothing is cut. */
const inputBatches = (
  inputs: InputSource,
  { prepare }: Pick<Required<Objective>, "prepare">,
  { batchTokens, seed }: { batchTokens: number; seed: number },
): BatchSource<unknown> =>
  budgetBatches(
    inputs.count,
    (position) => inputs.length(position),
    batchTokens,
    seed,
    (positions, index) => prepare(inputs.pack(positions), randomSource(seed, 3, index)),
  );

/** Batches that the objective makes of documents. */
const documentBatches = (
  documents: DocumentSource,
  { draw }: Pick<Required<Objective>, "draw">,
  { batchTokens, seed }: { batchTokens: number; seed: number },
): BatchSource<unknown> =>
  budgetBatches(
    documents.count,
    (position) => documents.length(position),
    batchTokens,
    seed,
    (positions, index) => draw(documents, positions, randomSource(seed, 3, index)),
  );

/**
 * The held-out documents of a source, as the objective draws from them in the same way each time: as many tokens as they have
 * and one batch at least. Nothing where they have too little to ask about.
 */
export function* heldOutBatches(
  documents: DocumentSource,
  { draw, tokens }: Objective,
  { batchTokens }: Pick<PretrainingBatchOptions, "batchTokens">,
  mostTokens = Number.POSITIVE_INFINITY,
): Generator<unknown> {
  if (draw === undefined) return;
  const most = Math.min(mostTokens, documents.tokens);
  let [given, next] = [0, 0];
  for (let index = 0; index === 0 || (given < most && next < documents.count); index++) {
    const positions: number[] = [];
    for (let size = 0; size < batchTokens && next < documents.count; next++) {
      positions.push(next);
      size += documents.length(next);
    }
    let batch: unknown;
    try {
      batch = draw(documents, Int32Array.from(positions), randomSource(0x5eed, index));
    } catch (error) {
      if ((error as { code?: string }).code !== "OBJECTIVE_CORPUS") throw error;
      continue;
    }
    given += tokens(batch);
    yield batch;
  }
}

/** Batches for an objective. @throws OBJECTIVE_CORPUS, and what `corpusBatches` throws */
export function batchesFor(
  corpus: PretrainCorpus,
  { prepare, draw }: Objective,
  vocabulary: ObjectiveVocabulary,
  options: PretrainingBatchOptions,
): BatchSource<unknown> {
  if (isDocuments(corpus)) {
    if (draw !== undefined) return documentBatches(corpus, { draw }, options);
  } else if (prepare !== undefined) {
    if (isInput(corpus)) return inputBatches(corpus, { prepare }, options);
    return isCorpus(corpus)
      ? corpusBatchesFor(corpus, { prepare }, vocabulary, options)
      : sequenceBatches(corpus, { prepare }, vocabulary, options);
  }
  throw new ClozeError("OBJECTIVE_CORPUS", "The objective does not read such a corpus", {
    expected: prepare === undefined ? "documents with paragraphs and sentences" : "tokens in a row",
    received: isDocuments(corpus) ? "documents" : "tokens in a row",
  });
}
