// Learning rates by formula: a schedule gives the factor of a step, counted from 0. The formulas are those of transformers
// (and of PyTorch for the one-cycle schedule).
import { ClozeError } from "../errors.js";

/** The factor on the learning rate at a step. */
export type Schedule = (step: number) => number;

export interface WarmupOptions {
  /** Steps of linear growth from 0. Default 0. */
  warmup?: number;
}

export interface DecayOptions extends WarmupOptions {
  /** Steps in all. */
  total: number;
  /** The factor at the end. Default 0. */
  final?: number;
}

function check(name: string, value: number, least: number, most = Number.MAX_VALUE): void {
  if (value >= least && value <= most) return;
  throw new ClozeError("INVALID_OPTION", `A schedule's ${name} is out of range`, {
    expected: most === Number.MAX_VALUE ? `a number of at least ${least}` : `a number from ${least} to ${most}`,
    received: String(value),
  });
}

/** Puts linear growth over `steps` steps before a schedule, which then starts at its own step `steps`. */
export function warmup(steps: number, then: Schedule = () => 1): Schedule {
  check("warmup", steps, 0);
  return (step) => (step < steps ? step / Math.max(1, steps) : then(step));
}

/** Shape of a decay: from 1 at progress 0 to 0 at progress 1. */
function decay({ warmup: steps = 0, total, final = 0 }: DecayOptions, shape: (progress: number) => number): Schedule {
  check("total", total, 0);
  return warmup(steps, (step) => {
    const progress = Math.min(1, (step - steps) / Math.max(1, total - steps));
    return final + (1 - final) * Math.max(0, shape(progress));
  });
}

/** Always 1, after a warm-up. */
export const constantSchedule = ({ warmup: steps = 0 }: WarmupOptions = {}): Schedule => warmup(steps);

/** Falls in a straight line. */
export const linearSchedule = (options: DecayOptions): Schedule => decay(options, (progress) => 1 - progress);

/** Falls along a cosine; `cycles` half waves x 2, default 0.5: one fall. */
export const cosineSchedule = (options: DecayOptions & { cycles?: number }): Schedule =>
  decay(options, (progress) => 0.5 * (1 + Math.cos(Math.PI * (options.cycles ?? 0.5) * 2 * progress)));

/** Falls as (1 - progress) to a power; default 3, the cubic of pruning schedules. */
export const polynomialSchedule = (options: DecayOptions & { power?: number }): Schedule =>
  decay(options, (progress) => (1 - progress) ** (options.power ?? 3));

/** Falls as 1 / sqrt(step); `timescale` defaults to the warm-up, or 10,000 without one. */
export function inverseSquareRootSchedule({
  warmup: steps = 0,
  timescale = steps || 10_000,
}: WarmupOptions & { timescale?: number } = {}): Schedule {
  check("timescale", timescale, 1);
  return warmup(steps, (step) => 1 / Math.sqrt((step - steps + timescale) / timescale));
}

export interface OneCycleOptions {
  total: number;
  /** Share of the steps that the rise takes. Default 0.3. */
  rise?: number;
  /** The first factor is 1 / divisor. Default 25. */
  divisor?: number;
  /** The last factor is the first / finalDivisor. Default 10,000. */
  finalDivisor?: number;
  /** Default "cosine". */
  shape?: "cosine" | "linear";
}

/** Rises to 1 and falls far below where it began (Smith and Topin 2017), as PyTorch's OneCycleLR. */
export function oneCycleSchedule({
  total,
  rise = 0.3,
  divisor = 25,
  finalDivisor = 1e4,
  shape = "cosine",
}: OneCycleOptions): Schedule {
  check("total", total, 1);
  check("rise", rise, 0, 1);
  const top = rise * total - 1;
  const last = total - 1;
  const first = 1 / divisor;
  const between = (from: number, to: number, progress: number): number =>
    shape === "linear" ? from + (to - from) * progress : to + ((from - to) / 2) * (1 + Math.cos(Math.PI * progress));
  return (step) => {
    const at = Math.min(step, last);
    if (at <= top) return between(first, 1, top === 0 ? 1 : at / top);
    return between(1, first / finalDivisor, last === top ? 1 : (at - top) / (last - top));
  };
}
