// How answers are scored. Figures match scikit-learn, scipy, sacrebleu, seqeval and the official SQuAD scripts; a figure that
// is not defined is NaN unless its documentation names the value that those libraries give.

export * from "./bleu.js";
export * from "./bootstrap.js";
export * from "./chrf.js";
export * from "./classification.js";
export * from "./curves.js";
export * from "./discounted-gain.js";
export * from "./entities.js";
export * from "./multi-label.js";
export * from "./perplexity.js";
export * from "./question-answering.js";
export * from "./ranked-lists.js";
export * from "./ranking.js";
export * from "./regression.js";
export type { Counts, Scores, SupportedScores } from "./scores.js";
export * from "./seed-summary.js";
export type { References } from "./translation.js";
export * from "./translation-edit-rate.js";
