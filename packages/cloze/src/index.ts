// The public surface of cloze, by folder.
export { type PruneOptions, type PruneReport, pruneByMagnitude } from "./compression/pruning/magnitude.js";
export { calibrate, type QuantizeModelOptions, quantizeModel } from "./compression/quantization/quantize-model.js";
export {
  type BatchSource,
  budgetBatches,
  shuffledBatches,
} from "./data/batch-source.js";
export * from "./data/corpus/index.js";
export type { DocumentSource, TokenDocument, TokenParagraph } from "./data/document-source.js";
export { memoryDocuments, openDocumentStore, writeDocumentStore } from "./data/document-store.js";
export { type PullOptions, type PullProgress, pullModel, resolveModelFolder } from "./data/hub/index.js";
export { type ImageBatch, type PatchLayout, packImages } from "./data/image-batch.js";
export { readCifar } from "./data/images/cifar.js";
export {
  type ImageSet,
  imagenetStatistics,
  normalizePixels,
  type PixelStatistics,
  pixelStatistics,
  selectImages,
} from "./data/images/image-set.js";
export { type ReadImages, type ReadImagesOptions, readImages } from "./data/images/read-images.js";
export { type InputSource, imageSource } from "./data/input-source.js";
export { memoryStore } from "./data/memory-store.js";
export {
  groupByTokenBudget,
  type PackedBatch,
  packSequences,
  padBatch,
  type Sequence,
  unpadBatch,
} from "./data/packed-batch.js";
export type { TagScheme } from "./data/readers/index.js";
export * from "./data/readers/index.js";
export { attentionPairs, fillBlocks } from "./data/sentence-blocks.js";
export { openTokenStore, type TokenStore, writeTokenStore } from "./data/token-store.js";
export * from "./embedding/axis/index.js";
export {
  createDocumentEmbedder,
  type DocumentEmbedderOptions,
  matchTexts,
  type TextMatch,
} from "./embedding/document-embedder.js";
export {
  createEmbedder,
  type Embedder,
  type EmbedderOptions,
  type EmbedderParts,
  type EmbedOptions,
  type TextKind,
} from "./embedding/embedder.js";
export * from "./embedding/evaluation/index.js";
export { type ExtendEmbedderOptions, extendWithExperts } from "./embedding/extend-experts.js";
export { type LayerPooling, poolLayers } from "./embedding/layer-pooling.js";
export {
  type EmbeddedChunk,
  embedLongTexts,
  type LongTextCounts,
  type LongTextOptions,
  type LongTextStrategy,
  type LongTextVectors,
} from "./embedding/long-texts.js";
export {
  createLoss,
  type EmbeddingLoss,
  embeddingLosses,
  type LossConfig,
  type LossInput,
} from "./embedding/losses/index.js";
export * from "./embedding/mining/index.js";
export { createDense, type DenseOptions, type EmbedderModule } from "./embedding/modules/index.js";
export * from "./embedding/pair-scorer/index.js";
export { type Pooling, type PoolingMode, pool } from "./embedding/pooling.js";
export { createRoutedEmbedder, type EmbedderRoutes, type RouteChoice } from "./embedding/routed-embedder.js";
export { type LoadEmbedderOptions, loadEmbedder, saveEmbedder } from "./embedding/sentence-transformers.js";
export {
  createSparseEncoder,
  type SparseEncoder,
  type SparseEncoderOptions,
} from "./embedding/sparse-encoder/sparse-encoder.js";
export { loadSparseEncoder, saveSparseEncoder } from "./embedding/sparse-encoder/sparse-encoder-folder.js";
export { createStaticEmbedder, type StaticEmbedderOptions } from "./embedding/static-embedder.js";
export type { TextCounts } from "./embedding/text-roles.js";
export {
  createTokenEncoder,
  type TokenEncoder,
  type TokenEncoderOptions,
} from "./embedding/token-encoder/token-encoder.js";
export { loadTokenEncoder, saveTokenEncoder } from "./embedding/token-encoder/token-encoder-folder.js";
export {
  type EmbeddingRow,
  type TextPair,
  type TrainEmbedderOptions,
  type TrainEmbedderResult,
  type TrainingStage,
  trainEmbedder,
  trainSentenceEncoder,
} from "./embedding/train-embedder.js";
export { readEmbeddingRows } from "./embedding/training/rows.js";
export type { TruncateOptions } from "./embedding/truncate.js";
export * from "./embedding/vectors/index.js";
export { type EncoderConfig, type EncoderConfigInput, uniformEncoder } from "./encoder/config.js";
export { type Direction, withDirection } from "./encoder/direction.js";
export { createEncoder, type Encoder, type EncoderOptions, type EncoderOutput } from "./encoder/encoder.js";
export { createKeyValueCache, type KeyValueCache } from "./encoder/key-value-cache.js";
export {
  type BagEncoderOptions,
  bagEncoder,
  type ConvolutionalEncoderOptions,
  convolutionalEncoder,
  type RecurrentEncoderOptions,
  recurrentEncoder,
} from "./encoder/presets.js";
export { ClozeError } from "./errors.js";
export { createModel, loadModel, type Model, saveModel } from "./families/index.js";
export * from "./generation/index.js";
export { allowedTransitions, viterbi } from "./heads/crf.js";
export { type CompiledModel, type CompileOptions, compile } from "./inference/compile.js";
export { type ExportOnnxOptions, exportOnnx, type OnnxExport } from "./inference/onnx/export.js";
export { type PlannedForward, plannedForward } from "./inference/planned-forward.js";
export { type RunSequencesOptions, runSequences } from "./inference/run-sequences.js";
export * from "./metrics/index.js";
export { cachedContrastive, contrastiveLoss, normalizeRows } from "./objectives/contrastive.js";
export {
  createObjective,
  noVocabulary,
  type Objective,
  type ObjectiveConfig,
  type ObjectivePart,
  objectiveOptions,
  objectives,
  parseObjective,
} from "./objectives/index.js";
export { type MaskedBatch, type MaskingOptions, maskTokens } from "./objectives/masking.js";
export {
  buildNgramLexicon,
  loadNgramLexicon,
  type NgramLexicon,
  type NgramLexiconBuilder,
  type NgramLexiconOptions,
  ngramLexiconBuilder,
  saveNgramLexicon,
  segmentNgrams,
} from "./objectives/ngrams/lexicon.js";
export { hidePieces } from "./objectives/ngrams/segments.js";
export { bodyFirst, inverseCloze, linkedPassage, type RetrievalPair } from "./objectives/pairs/retrieval-pairs.js";
export { type PositionBatch, positionLogits } from "./objectives/position-prediction.js";
export { balanceLoss, informationLoss, type RouterLossWeights, routerLoss } from "./objectives/router-losses.js";
export { sampledSoftmaxLoss } from "./objectives/sampled-softmax.js";
export { type ApproximateIndex, type ApproximateOptions, createApproximateIndex } from "./retrieval/approximate.js";
export { Bm25Index, type Bm25Options } from "./retrieval/bm25.js";
export { type DocumentStore, embeddedStore } from "./retrieval/document-store.js";
export { measureQueries, measureRun, type RunMeasures } from "./retrieval/evaluation/measures.js";
export type { Ranking, Run, ScoredDocument } from "./retrieval/evaluation/ranking.js";
export { readRun, runLines } from "./retrieval/evaluation/run-file.js";
export { createExactIndex, type ExactIndex } from "./retrieval/exact.js";
export {
  createLateInteractionIndex,
  type LateInteractionIndex,
} from "./retrieval/late-interaction/late-interaction-index.js";
export { type LateSearchOptions, maxSim } from "./retrieval/late-interaction/late-search.js";
export { type PlaidOptions, plaidSettings } from "./retrieval/late-interaction/plaid.js";
export { createImpactIndex, type ImpactIndex, type SparseVector } from "./retrieval/learned-sparse/impact-index.js";
export { quantizeWeights } from "./retrieval/learned-sparse/quantize-weights.js";
export { type SpladeOptions, spladeVectors } from "./retrieval/learned-sparse/splade.js";
export type { TermWeights } from "./retrieval/learned-sparse/term-weights.js";
export { type AnalyzerOptions, createAnalyzer } from "./retrieval/lexical/analyzer.js";
export { type BertQeOptions, bertQeChunks, bertQeScores, type FeedbackChunk } from "./retrieval/pipeline/bert-qe.js";
export {
  type CeqeOptions,
  ceqeWeights,
  type FeedbackMentions,
  type MixOptions,
  mixQuery,
} from "./retrieval/pipeline/ceqe.js";
export { type DocumentExpander, expandAll, openDocumentExpander } from "./retrieval/pipeline/document-expanders.js";
export {
  type CeqeRetrieverOptions,
  ceqeRetriever,
  rm3Retriever,
} from "./retrieval/pipeline/expanding-retrievers.js";
export {
  type DocumentExpansion,
  expandDocuments,
  expandQueries,
  type QueryExpansion,
} from "./retrieval/pipeline/expansion.js";
export {
  createFeedbackExpansion,
  type FeedbackExpansion,
  feedbackExpansions,
  searchTwice,
} from "./retrieval/pipeline/feedback/index.js";
export { type FusionOptions, fuseRankings, fuseRetrievers } from "./retrieval/pipeline/fusion.js";
export {
  indexBm25,
  indexDense,
  indexLateInteraction,
  indexSparse,
  indexTermWeights,
} from "./retrieval/pipeline/index-retrievers.js";
export { indexRm3 } from "./retrieval/pipeline/index-rm3.js";
export {
  bm25Retriever,
  denseRetriever,
  impactRetriever,
  lateInteractionRetriever,
} from "./retrieval/pipeline/memory-retrievers.js";
export { pipeline, type Reranker, type Retriever, type SearchOptions } from "./retrieval/pipeline/retriever.js";
export { type Rm3Options, rm3Terms } from "./retrieval/pipeline/rm3.js";
export type { TextVectors } from "./retrieval/pipeline/text-vectors.js";
export { memoryWordIndex, storeWordIndex, type WordIndex } from "./retrieval/pipeline/word-index.js";
export { type WordStates, type WordStatesOptions, wordStates } from "./retrieval/pipeline/word-states.js";
export { openPostgresStore, type PostgresOptions } from "./retrieval/postgres/postgres-store.js";
export { type CrossEncoder, type CrossEncoderOptions, crossEncoder } from "./retrieval/rerank/cross-encoder.js";
export {
  cascadeCost,
  createExitRanker,
  type ExitRanker,
  type ExitScores,
  type ExitThresholds,
} from "./retrieval/rerank/early-exit.js";
export {
  type ExitModel,
  type ExitModelSettings,
  loadExitModel,
  saveExitModel,
} from "./retrieval/rerank/exit-folder.js";
export { type ChosenWeight, chooseFirstStageWeight } from "./retrieval/rerank/first-stage-weight.js";
export {
  createJointRanker,
  type JointQuery,
  type JointRanker,
  type JointRankerOptions,
  rankJoint,
} from "./retrieval/rerank/joint-ranker.js";
export { loadJointRanker, saveJointRanker } from "./retrieval/rerank/joint-ranker-folder.js";
export { createKernelScorer, type KernelScorer, type KernelScorerOptions } from "./retrieval/rerank/kernel-scorer.js";
export {
  type BlockScorer,
  bestPlaces,
  bm25BlockScorer,
  cutBlocks,
  type KeyBlockOptions,
  keyBlockEncoder,
  keyBlocks,
  selectAndScore,
} from "./retrieval/rerank/key-blocks.js";
export { createParade, type Parade, type ParadeDocument, type ParadeOptions } from "./retrieval/rerank/parade.js";
export { loadParade, saveParade } from "./retrieval/rerank/parade-folder.js";
export { aggregatePassages, cutPassages, type PassageAggregation } from "./retrieval/rerank/passages.js";
export { type RerankBertQeOptions, rerankBertQe } from "./retrieval/rerank/rerank-bert-qe.js";
export {
  type ExitRow,
  type RerankExitsOptions,
  rerankExits,
  type TrainExitsOptions,
  trainExits,
} from "./retrieval/rerank/rerank-exits.js";
export { type RerankSplitOptions, rerankSplit } from "./retrieval/rerank/rerank-split.js";
export { rerankTilde } from "./retrieval/rerank/rerank-tilde.js";
export { rerankJoint, rerankPairwise, rerankParade, rerankPointwise } from "./retrieval/rerank/rerankers.js";
export { type PairSide, type SplitModel, type StoredText, splitAt } from "./retrieval/rerank/split-encoder.js";
export {
  createSplitRanker,
  type SplitRanker,
  type SplitRankerOptions,
  type StoredDocumentStates,
} from "./retrieval/rerank/split-ranker.js";
export { loadSplitRanker, saveSplitRanker } from "./retrieval/rerank/split-ranker-folder.js";
export {
  type CompressedText,
  createStateCodec,
  type StateCodec,
  type TrainStateCodecOptions,
  trainStateCodec,
} from "./retrieval/rerank/state-codec.js";
export { openStateStore, type StateStore } from "./retrieval/rerank/state-store.js";
export { type JointRow, trainJointRanker } from "./retrieval/rerank/train-joint-ranker.js";
export {
  type KernelScorerRow,
  type TrainKernelScorerOptions,
  trainKernelScorer,
} from "./retrieval/rerank/train-kernel-scorer.js";
export { type ParadeRow, type TrainParadeOptions, trainParade } from "./retrieval/rerank/train-parade.js";
export {
  type SplitRow,
  type TrainSplitRankerOptions,
  trainSplitRanker,
} from "./retrieval/rerank/train-split-ranker.js";
export type { SearchHit } from "./retrieval/search-hit.js";
export type { SearchIndex } from "./retrieval/store/contract.js";
export type { EncodedDocuments, IndexedDocument } from "./retrieval/store/document.js";
export type { FieldCondition, Filter } from "./retrieval/store/filter.js";
export type { IndexSettings } from "./retrieval/store/index-settings.js";
export { type OpenIndexOptions, openIndex } from "./retrieval/store/search-index.js";
export type { TokenSearchOptions } from "./retrieval/store/token-search.js";
export type { VectorStorage } from "./retrieval/store/vector-codec.js";
export {
  createEpic,
  type Epic,
  type EpicEncodeOptions,
  type EpicOptions,
} from "./retrieval/term-weighting/epic.js";
export { loadEpic, saveEpic } from "./retrieval/term-weighting/epic-folder.js";
export {
  createTermNumbers,
  deepctFrequencies,
  mergePassageFrequencies,
  numberTerms,
  type PassageFrequencies,
  type TermNumbers,
} from "./retrieval/term-weighting/term-impacts.js";
export { createTermReader, type TermReader } from "./retrieval/term-weighting/term-reader.js";
export {
  createTermWeighter,
  type TermWeighter,
  type TermWeighterOptions,
} from "./retrieval/term-weighting/term-weighter.js";
export {
  loadTermReader,
  loadTermWeighter,
  saveTermWeighter,
} from "./retrieval/term-weighting/term-weighter-folder.js";
export {
  type TildeOptions,
  type TildeText,
  tildeExpansion,
  tildeLogits,
  tildeLoss,
  tildeScore,
  tildeTexts,
  tildeTokens,
} from "./retrieval/term-weighting/tilde.js";
export {
  createTilde,
  loadTilde,
  saveTilde,
  type Tilde,
  type TildeSettings,
} from "./retrieval/term-weighting/tilde-folder.js";
export { tildeWords } from "./retrieval/term-weighting/tilde-words.js";
export { type TrainEpicOptions, trainEpic } from "./retrieval/term-weighting/train-epic.js";
export {
  type TermRecallRow,
  type TermScoreRow,
  type TrainTermWeighterOptions,
  termRecall,
  trainTermWeighter,
} from "./retrieval/term-weighting/train-term-weighter.js";
export { type TildeRow, type TrainTildeOptions, trainTilde } from "./retrieval/term-weighting/train-tilde.js";
export * from "./retrieval/test-collection/index.js";
export {
  type JudgedDocument,
  type JudgedQuery,
  openTrainedPart,
  type TrainedPart,
  trainedParts,
} from "./retrieval/trained-parts/index.js";
export { fillMask } from "./tasks/fill-mask.js";
export {
  evaluateRows,
  loadTaskModel,
  type PredictOptions,
  predictRows,
  type Scores,
  saveTaskModel,
  type Task,
  type TaskModel,
  taskOf,
  tasks,
} from "./tasks/index.js";
export {
  fitLinearBaseline,
  type LinearBaseline,
  type LinearBaselineOptions,
  loadLinearBaseline,
} from "./tasks/linear-baseline.js";
export * from "./text/index.js";
export { type BuildDocumentsOptions, type BuiltDocuments, buildDocuments } from "./training/build-documents.js";
export {
  type ChangePositionsOptions,
  changePositions,
  type PositionStart,
  withPositions,
} from "./training/change-positions.js";
export { type ComparedModel, type CompareOptions, type CompareTask, compareModels } from "./training/compare.js";
export { type ExtendModelOptions, extendModelWithExperts } from "./training/extend-experts.js";
export { extendSegments } from "./training/extend-segments.js";
export { extendVocabulary, growVocabulary } from "./training/extend-vocabulary.js";
export { type FinetuneOptions, type FinetuneResult, finetune } from "./training/finetune.js";
export {
  findLearningRate,
  type LearningRateTest,
  type LearningRateTestOptions,
  learningRateSvg,
} from "./training/learning-rate-test.js";
export {
  interpolate,
  pretrainVCycle,
  type VCycleOptions,
  type VCycleResult,
  type VCycleStage,
} from "./training/multi-level/v-cycle.js";
export { coalesce, decoalesce, halfScheme, type LevelScheme } from "./training/multi-level/width-and-depth.js";
export { createNewModel, type NewModelName, type NewModelOptions, newModels } from "./training/new-model.js";
export { type AverageOptions, type AveragingOptimizer, averageWeights } from "./training/policies/average.js";
export { addLora, hasLora, type LoraOptions, mergeLora, trainedParameters } from "./training/policies/lora.js";
export { loadLora, saveLora } from "./training/policies/lora-files.js";
export { type GreedySoup, greedySoup, uniformSoup } from "./training/policies/soup.js";
export {
  type PretrainCorpus,
  type PretrainOptions,
  pretrain,
  pretrainFlops,
} from "./training/pretrain.js";
export {
  type PretrainedRetriever,
  type PretrainRetrieverOptions,
  pretrainRetriever,
} from "./training/pretrain-retriever.js";
export { type ProbeOptions, type ProbeResult, probe } from "./training/probe.js";
export { createProgress } from "./training/progress.js";
export { estimateRun, type RunEstimate } from "./training/run-estimate.js";
export { tokenizeDocuments } from "./training/tokenize-documents.js";
export { type TrainOptions, type TrainResult, train } from "./training/trainer.js";
export * from "./vision/index.js";
