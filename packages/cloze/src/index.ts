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
export { type SpreadTerms, type SpreadTermsOptions, spreadTerms } from "./embedding/sparse-encoder/spread-terms.js";
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
export * from "./retrieval/index.js";
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
