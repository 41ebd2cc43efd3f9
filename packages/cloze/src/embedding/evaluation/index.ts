// What scores an embedder: similarity, search, reranking, a probe, clusters, translations.
export { bitextEvaluator, type Translation } from "./bitext.js";
export { classificationEvaluator, type LabelledText, type ProbeOptions } from "./classification.js";
export { type ClusterAgreement, clusteringEvaluator, vMeasure } from "./clustering.js";
export type { EmbeddingEvaluator, EmbeddingScores } from "./evaluator.js";
export { type Clusters, type KMeansOptions, kMeans } from "./k-means.js";
export { type BinaryPair, binaryPairEvaluator } from "./pairs.js";
export { type RerankingRow, rerankingEvaluator } from "./reranking.js";
export { type RetrievalData, retrievalEvaluator } from "./retrieval.js";
export { pairCosines, type ScoredPair, stsEvaluator } from "./sts.js";
