// What recipes share: the runner, data by seed, tables and pictures. Exported as "cloze/recipes".
export * from "./data/hidden-word-classes.js";
export { type SentencePair, sharedPairs, sharedTable, wordOverlap } from "./data/sentence-pairs.js";
export { checkout, loadRecipe, recipeFolder, recipeNames, withResult } from "./find.js";
export { papersPage, type RecipeWithResult } from "./papers-page.js";
export { drawPicture } from "./picture.js";
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
export { commitOf, machineWords, readResult, type StoredResult, writeResult } from "./result-file.js";
export { type OverSeeds, type RecipeResult, type ResultRow, type RunRecipeOptions, runRecipe } from "./run-recipe.js";
export { formatNumbers, heldWords, resultTable } from "./table.js";
export * from "./token-probe.js";
