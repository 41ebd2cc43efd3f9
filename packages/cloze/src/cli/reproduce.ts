import { existsSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import { type Command, Option } from "commander";
import { ClozeError } from "../errors.js";
import {
  checkout,
  commitOf,
  formatNumbers,
  heldWords,
  loadRecipe,
  machineWords,
  papersPage,
  recipeFolder,
  recipeNames,
  resultTable,
  runRecipe,
  type Scale,
  withResult,
  writeResult,
} from "../recipes/index.js";
import { formatDuration } from "../training/progress.js";
import { wholeNumber } from "./arguments.js";
import { type CommonOptions, formatTable, printResult, progressFor } from "./output.js";

interface ReproduceOptions extends CommonOptions {
  list?: boolean;
  seeds: number;
  seed: number;
  quick?: boolean;
  full?: boolean;
  writeDocs?: boolean;
}

const loadAll = async () => {
  const found = [];
  for (const paper of recipeNames()) found.push(withResult(await loadRecipe(paper)));
  return found;
};

async function list(options: ReproduceOptions): Promise<void> {
  const entries = await loadAll();
  const value = entries.map(({ recipe, result }) => ({
    paper: recipe.paper,
    title: recipe.title,
    source: recipe.source,
    parts: recipe.parts,
    state: result === undefined ? "not run" : result.held ? "held" : "not held",
    last: result,
  }));
  printResult(options, value, () =>
    formatTable([
      ["paper", "title", "in Cloze", "state", "last run"],
      ...entries.map(({ recipe: { paper, title, parts }, result }) => [
        paper,
        title,
        parts[0],
        result === undefined ? "not run" : heldWords(result),
        result === undefined ? "" : result.date.slice(0, 10),
      ]),
    ]),
  );
}

async function writeDocs(options: ReproduceOptions): Promise<void> {
  const path = join(checkout(), "docs", "papers.md");
  writeFileAtomic(path, papersPage(await loadAll()));
  printResult(options, { path }, () => `Wrote ${path}`);
}

async function reproduce(paper: string, options: ReproduceOptions): Promise<void> {
  const recipe = await loadRecipe(paper);
  const progress = progressFor(options);
  if (!existsSync(join(checkout(), "..", "shared", "data"))) {
    progress.note("../shared/data is not here: recipes that could use it make their data by seed");
  }
  const scale: Scale = options.quick ? "quick" : options.full ? "full" : "default";
  let interrupted = false;
  const onSignal = () => {
    if (interrupted) process.exit(130);
    interrupted = true;
    progress.note("Stopping after this arm; press Ctrl-C again to stop at once.");
  };
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, onSignal);
  const seeds = Array.from({ length: options.seeds }, (_, i) => options.seed + i);
  const done = await runRecipe(recipe, { seeds, scale, progress, shouldStop: () => interrupted });
  for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, onSignal);
  if (done === undefined) {
    process.exitCode = 130;
    printResult(options, { interrupted: true, paper }, () => "Stopped; a result is written when all arms have run.");
    return;
  }
  const { result, pictures } = done;
  const folder = recipeFolder(paper);
  // A quick run says whether a recipe works, not what it gives.
  const stored = scale === "quick" ? undefined : writeResult(folder, result, pictures, checkout());
  if (!result.held) process.exitCode = 1;
  const facts = stored ?? { machine: machineWords(), commit: commitOf(checkout()), date: new Date().toISOString() };
  printResult(
    options,
    { ...result, ...facts, ...(stored === undefined ? {} : { file: join(folder, "result.json") }) },
    () =>
      [
        `${recipe.title} (${recipe.source})`,
        "",
        formatTable(resultTable(result.rows)),
        "",
        ...Object.entries(result.report).map(([name, numbers]) => `${name}: ${formatNumbers(numbers)}`),
        ...(recipe.notes ?? []),
        `${heldWords(result)}; seeds ${seeds.join(", ")}; ${formatDuration(result.seconds.reduce((a, b) => a + b, 0))}`,
        stored === undefined ? "A quick run is not saved." : `The result is in ${folder}`,
      ].join("\n"),
  );
}

/** `cloze reproduce` */
export function addReproduce(program: Command): void {
  program
    .command("reproduce")
    .description("run a paper's recipe: its claim scaled down, measured, and held against bounds; 1 where one fails")
    .argument("[paper]", "the name of its recipe; --list shows all")
    .option("--list", "every paper with its part in Cloze, its state and its last result")
    .option("--seeds <count>", "seeds to run; the table has mean ± deviation", wholeNumber(), 1)
    .option("--seed <number>", "the first seed", wholeNumber(0), 1)
    .addOption(
      new Option("--quick", "a fifth of the steps: does it run? Bounds may fail; nothing is saved").conflicts("full"),
    )
    .option("--full", "four times the steps")
    .option("--write-docs", "write docs/papers.md from the recipes and their results")
    .action(async (paper: string | undefined, options: ReproduceOptions) => {
      if (options.list) return list(options);
      if (options.writeDocs) return writeDocs(options);
      if (paper === undefined) {
        throw new ClozeError("RECIPE_UNKNOWN", "Say which paper", {
          expected: recipeNames().join(", "),
          remedy: "cloze reproduce electra, or cloze reproduce --list.",
        });
      }
      return reproduce(paper, options);
    });
}
