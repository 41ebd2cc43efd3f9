// Steps that different objectives do in the same time.
import { prepareStep, type StepTimeOptions } from "./step-time.js";

type ObjectiveInput = { readonly type: string; readonly [option: string]: unknown };

/**
 * How many steps each objective does in so many seconds: by the shortest of their steps, measured in turns, so that what else
 * the machine does counts for all of them or for none.
 *
 * @param seconds of training
 * @returns steps, in the order of the objectives; at least 1
 * @example
 * const [masked, detected] = stepsInTime([{ type: "mlm" }, { type: "electra" }], 600, { encoder, sequences: 32, length: 64 });
 */
export function stepsInTime(
  objectives: readonly ObjectiveInput[],
  seconds: number,
  { steps: turns = 9, ...options }: StepTimeOptions,
): number[] {
  const prepared = objectives.map((objective) => prepareStep(objective, options));
  const best = prepared.map(() => Number.POSITIVE_INFINITY);
  for (let turn = -2; turn < turns; turn++) {
    prepared.forEach((one, i) => {
      const start = performance.now();
      one.step();
      if (turn >= 0) best[i] = Math.min(best[i], performance.now() - start);
    });
  }
  for (const one of prepared) one.dispose();
  return best.map((milliseconds) => Math.max(1, Math.round((seconds * 1000) / milliseconds)));
}
