// Pairs scored from stored vectors: a cross-encoder distilled into two towers and a head.
export { crossEncoderLogits, type DistillPairScorerOptions, distillPairScorer, type ScorablePair } from "./distill.js";
export { readPairLogits, writePairLogits } from "./logits-file.js";
export { createPairScorer, loadPairScorer, type PairScorer, type PairScorerOptions } from "./pair-scorer.js";
