// The baseline of an axis: is a question nearer to its yes or to its no? (Moral Choice Machine, Jentzsch et al. 2019)
import { cosineSimilarity } from "../../metrics/cosine-similarity.js";
import { type PhraseEncoder, rawVectors } from "./phrase-vectors.js";
import { type AnswerTemplate, fillTemplate } from "./templates.js";

/**
 * Mean over the templates of cos(question, yes) - cos(question, no), for each phrase. Nothing is fitted.
 *
 * @returns [phrases], between -2 and 2
 * @throws TEMPLATE_INVALID
 * @example
 * answerBias(embedder, ["help a thief", "smile"], moralTemplates);
 */
export function answerBias(
  embedder: PhraseEncoder,
  phrases: readonly string[],
  templates: readonly AnswerTemplate[],
): Float64Array {
  const answers = rawVectors(
    embedder,
    templates.flatMap(({ no, yes }) => [no, yes]),
  );
  const questions = rawVectors(
    embedder,
    phrases.flatMap((phrase) => templates.map(({ question }) => fillTemplate(question, phrase))),
  );
  return Float64Array.from(phrases, (_, p) => {
    let sum = 0;
    for (let t = 0; t < templates.length; t++) {
      const question = questions[p * templates.length + t];
      sum += cosineSimilarity(question, answers[2 * t + 1]) - cosineSimilarity(question, answers[2 * t]);
    }
    return sum / templates.length;
  });
}
