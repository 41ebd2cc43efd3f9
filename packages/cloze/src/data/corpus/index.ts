// Texts of any size for pre-training: read, tokenized, looked through for duplicates, shuffled and mixed in bounded memory.
export { type BuildCorpusOptions, type BuiltCorpus, buildCorpus, type Deduplication } from "./build-corpus.js";
export { type Corpus, type CorpusManifest, type CorpusSourceInfo, openCorpus, totalOf } from "./corpus.js";
export { type CorpusBatchOptions, corpusBatches, type SequenceBatch } from "./corpus-batches.js";
export { type CorpusFile, type CorpusFormat, corpusBytes, findCorpusFiles } from "./corpus-files.js";
export {
  allSequences,
  mixedStream,
  type SequenceOptions,
  sequenceStream,
  trainingDocuments,
} from "./corpus-sequences.js";
export { corpusDocuments, type DocumentUnit, sampleDocuments } from "./documents.js";
export { type MixCorporaOptions, type MixedCorpora, mixCorpora } from "./mix-corpora.js";
export {
  amplification,
  amplifications,
  amplified,
  mixFiles,
  type SegmentInstance,
  type ShardedCorpus,
  segmentInstances,
  shardDocuments,
  type WeightedText,
} from "./simultaneous.js";
