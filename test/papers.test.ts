// Recipes are whole, and docs/papers.md says what their results say.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { papersPage, type Recipe, recipeNames, withResult } from "cloze/recipes";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const load = async (paper: string): Promise<Recipe> =>
  ((await import(join(root, "recipes", paper, "recipe.ts"))) as { default: Recipe }).default;
const names = recipeNames();

describe.each(names)("%s", (paper) => {
  test("is called as its folder, and names files that there are", async () => {
    const recipe = await load(paper);
    expect(recipe.paper).toBe(paper);
    for (const part of recipe.parts) {
      expect(existsSync(join(root, "packages/cloze/src", part)), part).toBe(true);
    }
    expect(Object.keys(recipe.arms).length).toBeGreaterThan(1);
  });
  test("keeps nothing beside it but its recipe and its results", () => {
    const files = readdirSync(join(root, "recipes", paper)).filter((name) => !/^result(-\d)?\.(svg|json)$/.test(name));
    expect(files.every((name) => name.endsWith(".ts"))).toBe(true);
  });
});

test("docs/papers.md is up to date", async () => {
  const entries = [];
  for (const paper of names) entries.push(withResult(await load(paper)));
  const written = readFileSync(join(root, "docs/papers.md"), "utf8");
  expect(written, "run npm run --silent cloze -- reproduce --write-docs").toBe(papersPage(entries));
});
