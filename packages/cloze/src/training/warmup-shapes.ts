// Learning rates by name, over the steps of a run.
import {
  constantSchedule,
  cosineSchedule,
  inverseSquareRootSchedule,
  linearSchedule,
  oneCycleSchedule,
  type Schedule,
} from "@cloze/tensor";

const shapes = {
  /** Stays, after the warm-up. */
  constant: (_: number, warmup: number) => constantSchedule({ warmup }),
  /** Falls to 0 in a straight line. */
  linear: (total: number, warmup: number) => linearSchedule({ total, warmup }),
  /** Falls to 0 along half a cosine. */
  cosine: (total: number, warmup: number) => cosineSchedule({ total, warmup }),
  /** Falls as 1 / sqrt(step). */
  "inverse-square-root": (_: number, warmup: number) => inverseSquareRootSchedule({ warmup }),
  /** Rises over the warm-up (at least a step) and falls far below where it began. */
  "one-cycle": (total: number, warmup: number) =>
    oneCycleSchedule({ total, rise: Math.min(1, Math.max(warmup, 1) / Math.max(1, total)) }),
} satisfies Record<string, (total: number, warmup: number) => Schedule>;

export type WarmupShape = keyof typeof shapes;
export const warmupShapes = Object.keys(shapes) as readonly WarmupShape[];

/** The schedule of that shape: `warmup` is the share of the steps over which it rises, as transformers rounds it down. */
export const scheduleOf = (shape: WarmupShape, total: number, warmup: number): Schedule =>
  shapes[shape](total, Math.floor(total * warmup + 1e-9));
