// Seeds of an axis that comes with Cloze.
import type { FitDirectionOptions } from "../fit-direction.js";
import type { AnswerTemplate } from "../templates.js";

export interface AxisPreset extends Omit<FitDirectionOptions, "templates"> {
  readonly name: string;
  /** One line for help. */
  readonly description: string;
  readonly templates: readonly AnswerTemplate[];
  /** Those of the phrases that are known to lie at the high end, and at the low one: to see whether they separate. */
  readonly high: readonly string[];
  readonly low: readonly string[];
}
