// An axis from phrases, without labels: the first principal component of their vectors (MoRT, arXiv 2103.11790).
import { ClozeError } from "../../errors.js";
import { type Axis, type AxisParameters, createAxis } from "./axis.js";
import { signAwayFrom } from "./orientation.js";
import { type PhraseEncoder, phraseVectors } from "./phrase-vectors.js";
import { coordinate, principalComponents } from "./principal-components.js";

export interface FitDirectionOptions {
  /** What the direction is fitted on: phrases from both of its ends; some that are neither do no harm. */
  readonly phrases: readonly string[];
  /** Sentences with a gap that each phrase is read in: "Should I {}?". Default: phrases are read as they are. */
  readonly templates?: readonly string[];
  /** Principal components by which phrases are clustered to tell the ends apart. Default 5. */
  readonly components?: number;
  /** One of the phrases that scores low: the cluster that it is not in lies at the high end. */
  readonly orientBy: string;
  /** The phrase that scores 1 or -1, at its end. Default: the one of `phrases` that lies furthest out. */
  readonly normaliseTo?: string;
}

/** Whether vectors differ by no more than rounding. */
function areAlike(vectors: readonly Float64Array[]): boolean {
  const [first] = vectors;
  const nothing = 1e-6 * Math.hypot(...first);
  return vectors.every((vector) => vector.every((value, c) => Math.abs(value - first[c]) <= nothing));
}

/**
 * Fits an axis to phrases: their vectors (means over the templates, not scaled to length 1), principal components, the sign
 * by Ward clusters of the coordinates, the length by one phrase. What the direction means is what the phrases differ in
 * most to this encoder; see that phrases of known ends separate before trusting it.
 *
 * @throws AXIS_PHRASES where `orientBy` is not among the phrases or all phrases are alike; TEMPLATE_INVALID, INVALID_OPTION
 * @example
 * const axis = fitDirection(embedder, { ...moralDirection });
 * axis.score("help a thief");
 */
export function fitDirection(embedder: PhraseEncoder, options: FitDirectionOptions): Axis {
  const { phrases, templates = [], components: count = 5, orientBy, normaliseTo } = options;
  const anchor = phrases.indexOf(orientBy);
  if (anchor < 0) {
    throw new ClozeError("AXIS_PHRASES", "The phrase that tells the ends apart is not among the phrases", {
      expected: "one of them that scores low",
      received: JSON.stringify(orientBy),
    });
  }
  const vectors = phraseVectors(embedder, phrases, templates);
  if (areAlike(vectors)) {
    throw new ClozeError("AXIS_PHRASES", "The encoder makes the same of all phrases", {
      expected: "phrases that differ in words that its tokenizer knows",
      received: phrases.slice(0, 4).join(", "),
      remedy: "Look at their tokens: tokenizer.encode(phrase).tokens.",
    });
  }
  const { mean, components, shares } = principalComponents(vectors, count);
  const coordinates = vectors.map((vector) =>
    Float64Array.from(components, (component) => coordinate(vector, { mean, component })),
  );
  const sign = signAwayFrom(anchor, coordinates);
  const direction = components[0].map((value) => sign * value);
  const along = (vector: Float64Array): number => Math.abs(coordinate(vector, { mean, component: direction }));
  const norm =
    normaliseTo === undefined
      ? Math.max(...vectors.map(along))
      : along(phraseVectors(embedder, [normaliseTo], templates)[0]);
  if (!(norm > 0)) {
    throw new ClozeError("AXIS_PHRASES", "The phrase that sets the length of the axis lies in the middle of it", {
      expected: "a phrase of one end",
      received: JSON.stringify(normaliseTo),
    });
  }
  const parameters: AxisParameters = {
    templates: [...templates],
    phrases: [...phrases],
    mean,
    direction,
    norm,
    explainedVariance: Array.from(shares),
  };
  return createAxis(embedder, parameters);
}
