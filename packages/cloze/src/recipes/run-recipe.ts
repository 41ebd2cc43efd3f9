// Every arm of a recipe with every seed, and what came out.
import { summarizeSeeds } from "../metrics/seed-summary.js";
import { type ProgressReporter, silentProgress } from "../training/progress.js";
import { drawPicture } from "./picture.js";
import { type ArmMeasures, type Bound, type Measures, type Recipe, type Scale, scaleFactors } from "./recipe.js";

/** A number over seeds. */
export interface OverSeeds {
  readonly mean: number;
  /** Of the sample; null with one seed. */
  readonly deviation: number | null;
  /** By seed, in their order. */
  readonly values: readonly number[];
}

/** A line of the table. */
export interface ResultRow {
  readonly claim: string;
  readonly paper: string;
  readonly ours: OverSeeds;
  /** "≥ 0.2" */
  readonly bound: string;
  readonly held: boolean;
  readonly digits: number;
}

export interface RecipeResult {
  readonly paper: string;
  readonly title: string;
  readonly scale: Scale;
  readonly seeds: readonly number[];
  readonly rows: readonly ResultRow[];
  /** True when every bound holds. */
  readonly held: boolean;
  /** Numbers without a bound. */
  readonly report: Readonly<Record<string, OverSeeds>>;
  /** Every measure of every arm. */
  readonly arms: Readonly<Record<string, Readonly<Record<string, OverSeeds>>>>;
  /** Seconds of each seed, all arms together. */
  readonly seconds: readonly number[];
}

export interface RunRecipeOptions {
  /** Default [1]. */
  seeds?: readonly number[];
  /** Default "default". */
  scale?: Scale;
  progress?: ProgressReporter;
  /** Asked between runs; true ends them. */
  shouldStop?: () => boolean;
}

/** Summarises values; JSON has no NaN, so a lone seed has no deviation. */
function overSeeds(values: readonly number[]): OverSeeds {
  const { mean, standardDeviation } = summarizeSeeds(values);
  return { mean, deviation: Number.isNaN(standardDeviation) ? null : standardDeviation, values };
}

function rowOf(bound: Bound, runs: readonly ArmMeasures[]): ResultRow {
  const { claim, paper, atLeast, atMost, digits = 3 } = bound;
  const ours = overSeeds(runs.map((of) => bound.value(of)));
  const limits = [atLeast === undefined ? "" : `≥ ${atLeast}`, atMost === undefined ? "" : `≤ ${atMost}`];
  // NaN holds no bound. A difference of floating-point rounding breaks none.
  const slack = 1e-9;
  const held =
    ours.mean >= (atLeast ?? Number.NEGATIVE_INFINITY) - slack &&
    ours.mean <= (atMost ?? Number.POSITIVE_INFINITY) + slack;
  return { claim, paper, ours, bound: limits.filter((text) => text !== "").join(" and "), held, digits };
}

/**
 * Runs a recipe: for every seed its data once, then every arm. Undefined when it was stopped.
 *
 * @example
 * const result = await runRecipe(recipe, { seeds: [1, 2, 3] });
 * result?.rows.every(({ held }) => held);
 */
export async function runRecipe(
  recipe: Recipe,
  { seeds = [1], scale = "default", progress = silentProgress, shouldStop = () => false }: RunRecipeOptions = {},
): Promise<{ result: RecipeResult; pictures: readonly string[] } | undefined> {
  const runs: ArmMeasures[] = [];
  const seconds: number[] = [];
  const names = Object.keys(recipe.arms);
  for (const seed of seeds) {
    const start = performance.now();
    const scaled = (count: number) => Math.max(1, Math.round(count * scaleFactors[scale]));
    const context = { seed, scale, scaled, progress };
    const data = await recipe.data(context);
    const measures: Record<string, Measures> = {};
    for (const [i, name] of names.entries()) {
      if (shouldStop()) return undefined;
      const armStart = performance.now();
      measures[name] = await recipe.run(recipe.arms[name], data, context);
      const numbers = Object.entries(measures[name])
        .slice(0, 4)
        .map(([key, value]) => `${key} ${value.toPrecision(3)}`);
      const spent = ((performance.now() - armStart) / 1000).toFixed(1);
      progress.note(`seed ${seed}, ${i + 1}/${names.length} ${name}: ${numbers.join(", ")} (${spent} s)`);
      // Lets signals in.
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (shouldStop()) return undefined;
    runs.push(measures);
    seconds.push((performance.now() - start) / 1000);
  }
  const rows = recipe.bounds.map((bound) => rowOf(bound, runs));
  const result: RecipeResult = {
    paper: recipe.paper,
    title: recipe.title,
    scale,
    seeds,
    rows,
    held: rows.every(({ held }) => held),
    report: Object.fromEntries(
      Object.entries(recipe.report ?? {}).map(([name, value]) => [name, overSeeds(runs.map((of) => value(of)))]),
    ),
    arms: Object.fromEntries(
      names.map((name) => [
        name,
        Object.fromEntries(
          Object.keys(runs[0]?.[name] ?? {}).map((key) => [key, overSeeds(runs.map((of) => of[name][key]))]),
        ),
      ]),
    ),
    seconds,
  };
  return { result, pictures: (recipe.pictures ?? []).map((picture) => drawPicture(picture, runs)) };
}
