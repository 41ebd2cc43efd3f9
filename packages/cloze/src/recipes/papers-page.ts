// docs/papers.md, written from the recipes and their results.
import type { Recipe } from "./recipe.js";
import type { StoredResult } from "./result-file.js";
import { formatNumbers, heldWords, resultTable } from "./table.js";

export interface RecipeWithResult {
  readonly recipe: Recipe;
  readonly result?: StoredResult;
  /** Names of pictures beside the recipe. */
  readonly pictures: readonly string[];
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");
const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
const markdownTable = ([head, ...rows]: readonly (readonly string[])[]): string =>
  [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");

const stateOf = (result: StoredResult | undefined): string => (result === undefined ? "not run" : heldWords(result));

function section({ recipe, result, pictures }: RecipeWithResult): string {
  const { paper, title, source, parts, about, notes = [] } = recipe;
  const head = [
    `## ${title}`,
    `${source} · \`cloze reproduce ${paper}\` · ${parts.map((part) => `\`${part}\``).join(", ")}`,
    about,
  ];
  if (result === undefined) return [...head, "Not run yet.", ...notes].join("\n\n");
  const report = Object.entries(result.report);
  const seconds = result.seconds.reduce((sum, value) => sum + value, 0);
  return [
    ...head,
    markdownTable(resultTable(result.rows)),
    ...(report.length === 0
      ? []
      : [`Without a bound: ${report.map(([name, numbers]) => `${name} ${formatNumbers(numbers)}`).join("; ")}.`]),
    ...pictures.map((name) => `![${title}](../recipes/${paper}/${name})`),
    ...notes,
    `Seeds ${result.seeds.join(", ")}, ${seconds.toFixed(0)} s in all; ${result.machine}; commit ${result.commit}, ${result.date.slice(0, 10)}.`,
  ].join("\n\n");
}

/** The page as Markdown. */
export function papersPage(entries: readonly RecipeWithResult[]): string {
  const overview = [
    ["paper", "in Cloze", "state"],
    ...entries.map(({ recipe, result }) => [recipe.title, recipe.parts.join(", "), stateOf(result)]),
  ];
  return `${[
    "# Papers: what they claim, and what comes out here",
    "Written by `cloze reproduce --write-docs` from `recipes/*/recipe.ts` and the `result.json` beside each; `cloze reproduce <paper>` measures one again. Claims are scaled down to minutes on two cores: a bound says what must still be seen at that size, not the paper's number. What does not hold is printed as such.",
    markdownTable(overview),
    ...entries.map(section),
  ].join("\n\n")}\n`;
}
