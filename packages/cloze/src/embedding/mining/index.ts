// Training data out of texts: hard negatives, duplicates, splits without near-copies on both sides.
export { type CitationGraph, type CocitationOptions, type CocitedPair, cocitationPairs } from "./cocitation.js";
export { type Duplicate, type DuplicateOptions, findDuplicates } from "./duplicates.js";
export { type HardNegativeOptions, type MinedPair, type MiningCounts, mineHardNegatives } from "./hard-negatives.js";
export { type SemanticSplit, type SemanticSplitOptions, semanticSplit } from "./semantic-split.js";
