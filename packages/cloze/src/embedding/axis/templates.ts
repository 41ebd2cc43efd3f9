// Sentences with a gap, and what phrases become in them.
import { ClozeError } from "../../errors.js";

/** A question with a gap, and its two answers. */
export interface AnswerTemplate {
  /** "Is it ok to {}?" */
  readonly question: string;
  /** "No, it is not." */
  readonly no: string;
  /** "Yes, it is." */
  readonly yes: string;
}

/** The gap of a template. */
const gap = "{}";

/**
 * Puts a phrase into the gap of a template.
 *
 * @throws TEMPLATE_INVALID without a gap
 * @example
 * fillTemplate("Should I {}?", "kill time"); // "Should I kill time?"
 */
export function fillTemplate(template: string, phrase: string): string {
  const at = template.indexOf(gap);
  if (at >= 0) return template.slice(0, at) + phrase + template.slice(at + gap.length);
  throw new ClozeError("TEMPLATE_INVALID", "A template has no gap for the phrase", {
    expected: `${gap} somewhere, such as "Should I ${gap}?"`,
    received: JSON.stringify(template),
  });
}
