// The recipes of a checkout: compiled in build/recipes, their results in recipes.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ClozeError } from "../errors.js";
import type { RecipeWithResult } from "./papers-page.js";
import type { Recipe } from "./recipe.js";
import { readResult } from "./result-file.js";

/** The checkout that this package lies in. */
export const checkout = (): string => fileURLToPath(new URL("../../../../", import.meta.url));

/** Where a paper's recipe and results are. */
export const recipeFolder = (paper: string): string => join(checkout(), "recipes", paper);

/** The papers that have a recipe, by name. */
export function recipeNames(): string[] {
  const folder = join(checkout(), "recipes");
  if (!existsSync(folder)) {
    throw new ClozeError("RECIPES_MISSING", "Recipes are part of Cloze's repository, not of its package", {
      expected: folder,
      remedy: "Clone the repository and use npm run --silent cloze -- reproduce there.",
    });
  }
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, "recipe.ts")))
    .map(({ name }) => name)
    .sort();
}

/** Loads a paper's recipe. @throws RECIPE_UNKNOWN, RECIPES_MISSING */
export async function loadRecipe(paper: string): Promise<Recipe> {
  const names = recipeNames();
  if (!names.includes(paper)) {
    throw new ClozeError("RECIPE_UNKNOWN", "There is no recipe of this name", {
      expected: names.join(", "),
      received: paper,
      remedy: "cloze reproduce --list shows all.",
    });
  }
  const path = join(checkout(), "build", "recipes", paper, "recipe.js");
  if (!existsSync(path)) {
    throw new ClozeError("RECIPES_MISSING", "The recipes are not compiled", {
      expected: path,
      remedy: "Run npm run build in the repository.",
    });
  }
  return ((await import(pathToFileURL(path).href)) as { default: Recipe }).default;
}

/** A recipe with what lies beside it. */
export function withResult(recipe: Recipe): RecipeWithResult {
  const folder = recipeFolder(recipe.paper);
  const pictures = readdirSync(folder)
    .filter((name) => name.endsWith(".svg"))
    .sort();
  return { recipe, result: readResult(folder), pictures };
}
