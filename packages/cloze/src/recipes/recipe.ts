// A paper's claim, scaled down: arms that differ in one field, what is measured of each, and bounds that must hold.
import { ClozeError } from "../errors.js";
import type { ProgressReporter } from "../training/progress.js";

/** How much work a run does: a share of the recipe's steps, rows or budgets. */
export type Scale = "quick" | "default" | "full";

/** What steps, rows and budgets are multiplied by. */
export const scaleFactors: Readonly<Record<Scale, number>> = { quick: 0.2, default: 1, full: 4 };

/** What the run of an arm is told. */
export interface RunContext {
  readonly seed: number;
  readonly scale: Scale;
  /** A count of the recipe at this scale; at least 1. */
  scaled(count: number): number;
  readonly progress: ProgressReporter;
}

/** Numbers by name: accuracies, losses, milliseconds. */
export type Measures = Readonly<Record<string, number>>;
/** The measures of one seed, by arm. */
export type ArmMeasures<Arm extends string = string> = Readonly<Record<Arm, Measures>>;

/** A line of the result: a number, and where it must lie. */
export interface Bound<Arm extends string = string> {
  /** What is claimed, in words. */
  readonly claim: string;
  /** The paper's number or the card's, in words. */
  readonly paper: string;
  /** Ours, of one seed; the mean over the seeds is held against the bound. */
  value(of: ArmMeasures<Arm>): number;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Digits after the point. Default 3. */
  readonly digits?: number;
}

/** A curve or bars that say more than the table. */
export type Picture<Arm extends string = string> =
  | {
      readonly kind: "bars";
      readonly title: string;
      readonly bars: Readonly<Record<string, (of: ArmMeasures<Arm>) => number>>;
    }
  | {
      readonly kind: "curves";
      readonly title: string;
      readonly x: string;
      /** Points of each curve; the same x for every seed. */
      readonly curves: Readonly<Record<string, (of: ArmMeasures<Arm>) => readonly (readonly [number, number])[]>>;
    };

export interface Recipe<Arm extends string = string, Config = unknown, Data = unknown> {
  readonly paper: string;
  readonly title: string;
  /** Where it appeared: "arXiv 2003.10555". */
  readonly source: string;
  /** The files of Cloze that it is. */
  readonly parts: readonly string[];
  /** The paper's claim and how it is scaled down, in a paragraph. */
  readonly about: string;
  /** The configurations that are compared. They differ in one field, unless `differ` says why not. */
  readonly arms: Readonly<Record<Arm, Config>>;
  readonly differ?: string;
  /** What all arms of a seed share, made once. */
  data(context: RunContext): Data | Promise<Data>;
  run(config: Config, data: Data, context: RunContext): Measures | Promise<Measures>;
  readonly bounds: readonly Bound<Arm>[];
  /** Measures that are reported without a bound: `arm.measure` or a number of a seed. */
  readonly report?: Readonly<Record<string, (of: ArmMeasures<Arm>) => number>>;
  readonly pictures?: readonly Picture<Arm>[];
  /** What was tried where a bound does not hold, and what the reader should know. */
  readonly notes?: readonly string[];
}

/** Fields in which a configuration differs from another one. */
function differences(a: unknown, b: unknown): string[] {
  const [left, right] = [a, b] as Record<string, unknown>[];
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].filter(
    (key) => JSON.stringify(left[key]) !== JSON.stringify(right[key]),
  );
}

/**
 * Checks a recipe and lets TypeScript infer the names of its arms.
 *
 * @throws RECIPE_INVALID when arms differ in more than one field without a reason, or nothing is bounded
 */
export function defineRecipe<Arm extends string, Config extends object, Data>(
  recipe: Recipe<Arm, Config, Data>,
): Recipe {
  const invalid = (message: string) => new ClozeError("RECIPE_INVALID", `The recipe "${recipe.paper}": ${message}`);
  const [first, ...others] = Object.values<Config>(recipe.arms);
  const fields = new Set(others.flatMap((other) => differences(first, other)));
  if (fields.size > 1 && recipe.differ === undefined) {
    throw invalid(`arms differ in more than one field (${[...fields].join(", ")})`);
  }
  if (recipe.bounds.length === 0) throw invalid("nothing is bounded");
  for (const { claim, atLeast, atMost } of recipe.bounds) {
    if (atLeast === undefined && atMost === undefined) throw invalid(`"${claim}" has no bound`);
  }
  return recipe as unknown as Recipe;
}
