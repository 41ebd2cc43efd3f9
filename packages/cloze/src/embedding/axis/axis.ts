// A direction among sentence vectors, along which texts are scored.
import { ClozeError } from "../../errors.js";
import type { TextCounts } from "../text-roles.js";
import { type PhraseEncoder, phraseVectors } from "./phrase-vectors.js";
import { coordinate } from "./principal-components.js";
import { fillTemplate } from "./templates.js";

/**
 * How a phrase is read: in every template of the axis, whose vectors are averaged (`qa`), in one question (`raw`), or as the
 * text that it is (`without-question`: whole sentences, free text).
 */
export type PhraseForm = "qa" | "raw" | "without-question";

/** Names of {@link PhraseForm}. */
export const phraseForms: readonly PhraseForm[] = ["qa", "raw", "without-question"];

export interface ScoreOptions {
  /** Default "qa". */
  form?: PhraseForm;
  /** The question of the form `raw`: one for all texts, or one for each. Default: the first template of the axis. */
  question?: string | readonly string[];
  /** Receives what was cut: of texts that are longer than the encoder reads, the beginning is scored. */
  counts?: TextCounts;
}

/** What an axis is, without its encoder. */
export interface AxisParameters {
  /** Questions with a gap: "Should I {}?". Without any, phrases are read as they are. */
  readonly templates: readonly string[];
  /** The phrases that it was fitted on. */
  readonly phrases: readonly string[];
  /** Mean of their vectors. [width] */
  readonly mean: Float64Array;
  /** Of length 1, towards what scores high. [width] */
  readonly direction: Float64Array;
  /** Length along the direction that is a score of 1. */
  readonly norm: number;
  /** Share of the phrases' variance along the direction, and along the components after it. */
  readonly explainedVariance: readonly number[];
}

/** A direction with its encoder. */
export interface Axis extends AxisParameters {
  /**
   * Scores of texts, about -1 to 1: (direction · (vector - mean)) / norm. A batch scores as its texts one by one.
   *
   * @throws TEMPLATE_INVALID for a question without a gap, INVALID_OPTION for as many questions as there are no texts
   * @example
   * axis.score("help a thief");
   * axis.score(["You should help her.", "Nobody cares."], { form: "without-question" });
   */
  score(text: string, options?: ScoreOptions): number;
  score(texts: readonly string[], options?: ScoreOptions): Float64Array;
}

/** What is embedded for texts of a form: sentences, and the templates that they are put into. */
function sentencesOf(
  texts: readonly string[],
  { templates }: AxisParameters,
  { form = "qa", question = templates[0] ?? "{}" }: ScoreOptions,
): { texts: readonly string[]; templates: readonly string[] } {
  if (form === "qa") return { texts, templates };
  if (form === "without-question") return { texts, templates: [] };
  if (typeof question !== "string" && question.length !== texts.length) {
    throw new ClozeError("INVALID_OPTION", "There are not as many questions as texts", {
      expected: `${texts.length}, or one for all`,
      received: String(question.length),
    });
  }
  const asked = texts.map((text, i) => fillTemplate(typeof question === "string" ? question : question[i], text));
  return { texts: asked, templates: [] };
}

/**
 * Puts an axis and its encoder together. The encoder stays the caller's.
 *
 * @example
 * const axis = createAxis(embedder, parameters);
 */
export function createAxis(embedder: PhraseEncoder, parameters: AxisParameters): Axis {
  const { mean, direction, norm } = parameters;
  const scores = (texts: readonly string[], options: ScoreOptions = {}): Float64Array => {
    const what = sentencesOf(texts, parameters, options);
    return Float64Array.from(
      phraseVectors(embedder, what.texts, what.templates, options.counts),
      (vector) => coordinate(vector, { mean, component: direction }) / norm,
    );
  };
  function score(text: string, options?: ScoreOptions): number;
  function score(texts: readonly string[], options?: ScoreOptions): Float64Array;
  function score(texts: string | readonly string[], options?: ScoreOptions): number | Float64Array {
    return typeof texts === "string" ? scores([texts], options)[0] : scores(texts, options);
  }
  return { ...parameters, score };
}
