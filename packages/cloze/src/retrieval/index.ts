// Retrieval, as the library gives it.
export { type ApproximateIndex, type ApproximateOptions, createApproximateIndex } from "./approximate.js";
export { Bm25Index, type Bm25Options } from "./bm25.js";
export { type DocumentStore, embeddedStore } from "./document-store.js";
export { measureQueries, measureRun, type RunMeasures } from "./evaluation/measures.js";
export type { Ranking, Run, ScoredDocument } from "./evaluation/ranking.js";
export { readRun, runLines } from "./evaluation/run-file.js";
export { createExactIndex, type ExactIndex } from "./exact.js";
export {
  createLateInteractionIndex,
  type LateInteractionIndex,
} from "./late-interaction/late-interaction-index.js";
export { type LateSearchOptions, maxSim } from "./late-interaction/late-search.js";
export { type PlaidOptions, plaidSettings } from "./late-interaction/plaid.js";
export { createImpactIndex, type ImpactIndex, type SparseVector } from "./learned-sparse/impact-index.js";
export { quantizeWeights } from "./learned-sparse/quantize-weights.js";
export { type SpladeOptions, spladeVectors } from "./learned-sparse/splade.js";
export type { TermWeights } from "./learned-sparse/term-weights.js";
export { type AnalyzerOptions, createAnalyzer } from "./lexical/analyzer.js";
export { type BertQeOptions, bertQeChunks, bertQeScores, type FeedbackChunk } from "./pipeline/bert-qe.js";
export {
  type CeqeOptions,
  ceqeWeights,
  type FeedbackMentions,
  type MixOptions,
  mixQuery,
} from "./pipeline/ceqe.js";
export { type DocumentExpander, expandAll, openDocumentExpander } from "./pipeline/document-expanders.js";
export {
  type CeqeRetrieverOptions,
  ceqeRetriever,
  rm3Retriever,
} from "./pipeline/expanding-retrievers.js";
export {
  type DocumentExpansion,
  expandDocuments,
  expandQueries,
  type QueryExpansion,
} from "./pipeline/expansion.js";
export {
  createFeedbackExpansion,
  type FeedbackExpansion,
  feedbackExpansions,
  searchTwice,
} from "./pipeline/feedback/index.js";
export { type FusionOptions, fuseRankings, fuseRetrievers } from "./pipeline/fusion.js";
export {
  indexBm25,
  indexDense,
  indexLateInteraction,
  indexSparse,
  indexTermWeights,
} from "./pipeline/index-retrievers.js";
export { indexRm3 } from "./pipeline/index-rm3.js";
export {
  bm25Retriever,
  denseRetriever,
  impactRetriever,
  lateInteractionRetriever,
} from "./pipeline/memory-retrievers.js";
export { pipeline, type Reranker, type Retriever, type SearchOptions } from "./pipeline/retriever.js";
export { type Rm3Options, rm3Terms } from "./pipeline/rm3.js";
export type { TextVectors } from "./pipeline/text-vectors.js";
export { memoryWordIndex, storeWordIndex, type WordIndex } from "./pipeline/word-index.js";
export { type WordStates, type WordStatesOptions, wordStates } from "./pipeline/word-states.js";
export { openPostgresStore, type PostgresOptions } from "./postgres/postgres-store.js";
export { type CrossEncoder, type CrossEncoderOptions, crossEncoder } from "./rerank/cross-encoder.js";
export {
  cascadeCost,
  createExitRanker,
  type ExitRanker,
  type ExitScores,
  type ExitThresholds,
} from "./rerank/early-exit.js";
export {
  type ExitModel,
  type ExitModelSettings,
  loadExitModel,
  saveExitModel,
} from "./rerank/exit-folder.js";
export { type ChosenWeight, chooseFirstStageWeight } from "./rerank/first-stage-weight.js";
export {
  createJointRanker,
  type JointQuery,
  type JointRanker,
  type JointRankerOptions,
  rankJoint,
} from "./rerank/joint-ranker.js";
export { loadJointRanker, saveJointRanker } from "./rerank/joint-ranker-folder.js";
export { createKernelScorer, type KernelScorer, type KernelScorerOptions } from "./rerank/kernel-scorer.js";
export {
  type BlockScorer,
  bestPlaces,
  bm25BlockScorer,
  cutBlocks,
  type KeyBlockOptions,
  keyBlockEncoder,
  keyBlocks,
  selectAndScore,
} from "./rerank/key-blocks.js";
export { createParade, type Parade, type ParadeDocument, type ParadeOptions } from "./rerank/parade.js";
export { loadParade, saveParade } from "./rerank/parade-folder.js";
export { aggregatePassages, cutPassages, type PassageAggregation } from "./rerank/passages.js";
export { type RerankBertQeOptions, rerankBertQe } from "./rerank/rerank-bert-qe.js";
export {
  type ExitRow,
  type RerankExitsOptions,
  rerankExits,
  type TrainExitsOptions,
  trainExits,
} from "./rerank/rerank-exits.js";
export { type RerankSplitOptions, rerankSplit } from "./rerank/rerank-split.js";
export { rerankTilde } from "./rerank/rerank-tilde.js";
export { rerankJoint, rerankPairwise, rerankParade, rerankPointwise } from "./rerank/rerankers.js";
export { type PairSide, type SplitModel, type StoredText, splitAt } from "./rerank/split-encoder.js";
export {
  createSplitRanker,
  type SplitRanker,
  type SplitRankerOptions,
  type StoredDocumentStates,
} from "./rerank/split-ranker.js";
export { loadSplitRanker, saveSplitRanker } from "./rerank/split-ranker-folder.js";
export {
  type CompressedText,
  createStateCodec,
  type StateCodec,
  type TrainStateCodecOptions,
  trainStateCodec,
} from "./rerank/state-codec.js";
export { openStateStore, type StateStore } from "./rerank/state-store.js";
export { type JointRow, trainJointRanker } from "./rerank/train-joint-ranker.js";
export {
  type KernelScorerRow,
  type TrainKernelScorerOptions,
  trainKernelScorer,
} from "./rerank/train-kernel-scorer.js";
export { type ParadeRow, type TrainParadeOptions, trainParade } from "./rerank/train-parade.js";
export {
  type SplitRow,
  type TrainSplitRankerOptions,
  trainSplitRanker,
} from "./rerank/train-split-ranker.js";
export type { SearchHit } from "./search-hit.js";
export type { SearchIndex } from "./store/contract.js";
export type { EncodedDocuments, IndexedDocument } from "./store/document.js";
export type { FieldCondition, Filter } from "./store/filter.js";
export type { IndexSettings } from "./store/index-settings.js";
export { type OpenIndexOptions, openIndex } from "./store/search-index.js";
export type { TokenSearchOptions } from "./store/token-search.js";
export type { VectorStorage } from "./store/vector-codec.js";
export {
  createEpic,
  type Epic,
  type EpicEncodeOptions,
  type EpicOptions,
} from "./term-weighting/epic.js";
export { loadEpic, saveEpic } from "./term-weighting/epic-folder.js";
export {
  createTermNumbers,
  deepctFrequencies,
  mergePassageFrequencies,
  numberTerms,
  type PassageFrequencies,
  type TermNumbers,
} from "./term-weighting/term-impacts.js";
export { createTermReader, type TermReader } from "./term-weighting/term-reader.js";
export {
  createTermWeighter,
  type TermWeighter,
  type TermWeighterOptions,
} from "./term-weighting/term-weighter.js";
export {
  loadTermReader,
  loadTermWeighter,
  saveTermWeighter,
} from "./term-weighting/term-weighter-folder.js";
export {
  type TildeOptions,
  type TildeText,
  tildeExpansion,
  tildeLogits,
  tildeLoss,
  tildeScore,
  tildeTexts,
  tildeTokens,
} from "./term-weighting/tilde.js";
export {
  createTilde,
  loadTilde,
  saveTilde,
  type Tilde,
  type TildeSettings,
} from "./term-weighting/tilde-folder.js";
export { tildeWords } from "./term-weighting/tilde-words.js";
export { type TrainEpicOptions, trainEpic } from "./term-weighting/train-epic.js";
export {
  type TermRecallRow,
  type TermScoreRow,
  type TrainTermWeighterOptions,
  termRecall,
  trainTermWeighter,
} from "./term-weighting/train-term-weighter.js";
export { type TildeRow, type TrainTildeOptions, trainTilde } from "./term-weighting/train-tilde.js";
export * from "./test-collection/index.js";
export {
  type JudgedDocument,
  type JudgedQuery,
  openTrainedPart,
  type TrainedPart,
  trainedParts,
} from "./trained-parts/index.js";
