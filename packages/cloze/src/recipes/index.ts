// What recipes share: the runner, data by seed, tables and pictures. Exported as "cloze/recipes".

export { randomOrder, randomSource } from "../data/random-source.js";
export { sameDocumentPairs, sameParagraphPairs, spanInParagraphPairs } from "../objectives/pairs/paragraph-pairs.js";
export { copyOfEncoder } from "../training/probe.js";
export { activeShare } from "./active-share.js";
export * from "./copies-apart.js";
export * from "./data/aspect-texts.js";
export * from "./data/contract-clauses.js";
export * from "./data/english-texts.js";
export * from "./data/hidden-word-classes.js";
export * from "./data/meetings.js";
export * from "./data/novel-passages.js";
export * from "./data/pictures.js";
export * from "./data/planted-phrases.js";
export * from "./data/question-articles.js";
export * from "./data/registers.js";
export * from "./data/scattered-topics.js";
export { type SentencePair, sharedPairs, sharedTable, wordOverlap } from "./data/sentence-pairs.js";
export { sharedModel, sharedPath } from "./data/shared-text.js";
export * from "./data/shifted-grids.js";
export * from "./data/spans-and-names.js";
export * from "./data/swapped-words.js";
export * from "./data/topic-documents.js";
export * from "./data/verb-polarity.js";
export * from "./encoder-time.js";
export * from "./equal-time.js";
export { checkout, loadRecipe, recipeFolder, recipeNames, withResult } from "./find.js";
export * from "./hidden-blocks.js";
export * from "./image-probe.js";
export * from "./masked-loss.js";
export * from "./pair-probe.js";
export { papersPage, type RecipeWithResult } from "./papers-page.js";
export { drawPicture } from "./picture.js";
export * from "./position-accuracy.js";
export * from "./pretrain-arm.js";
export {
  type ArmMeasures,
  type Bound,
  defineRecipe,
  type Measures,
  type Picture,
  type Recipe,
  type RunContext,
  type Scale,
  scaleFactors,
} from "./recipe.js";
export * from "./replacement-share.js";
export { commitOf, machineWords, readResult, type StoredResult, writeResult } from "./result-file.js";
export * from "./retriever-probe.js";
export { type OverSeeds, type RecipeResult, type ResultRow, type RunRecipeOptions, runRecipe } from "./run-recipe.js";
export * from "./step-time.js";
export * from "./substitution-error.js";
export { formatNumbers, heldWords, resultTable } from "./table.js";
export * from "./token-probe.js";
export * from "./word-encoder.js";
