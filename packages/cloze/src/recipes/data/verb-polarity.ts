// A made language in which verbs are approved of or not, and some sentences say so: what an axis may find without labels.
import { type RandomSource, randomOrder, randomSource } from "../../data/random-source.js";
import { type Tokenizer, trainWordLevel } from "../../text/index.js";

const praise = ["good", "right", "kind", "fine"];
const blame = ["wrong", "bad", "cruel", "evil"];
/** Questions that say nothing of what they ask about. */
const questions = ["should i {} ?", "is it ok to {} ?", "may i {} ?"];

export interface VerbPolarity {
  readonly tokenizer: Tokenizer;
  readonly verbs: readonly string[];
  /** 1 for a verb that is approved of, -1 for one that is not. [verbs] */
  readonly polarity: Int8Array;
  /** Templates with a gap for a verb, or a verb and its object. */
  readonly questions: readonly string[];
  /** Sentences without special tokens. */
  sentences(count: number, stream: number): Int32Array[];
}

/**
 * Makes the language of a seed. Of its sentences 35 % say "it is good to V N .", 25 % "you should [never] V N .", and one in
 * seven of these is wrong about its verb; the rest are questions.
 */
export function verbPolarity(seed: number, { verbs: count = 200, nouns = 30, flips = 0.15 } = {}): VerbPolarity {
  const verbs = Array.from({ length: count }, (_, i) => `verb${i}`);
  const objects = Array.from({ length: nouns }, (_, i) => `noun${i}`);
  const approved = new Set(randomOrder(count, randomSource(seed, 1)).subarray(0, count / 2));
  const polarity = Int8Array.from(verbs, (_, i) => (approved.has(i) ? 1 : -1));
  const pick = <T>(list: readonly T[], random: RandomSource): T => list[Math.floor(random() * list.length)];
  const sentence = (random: RandomSource): string => {
    const verb = Math.floor(random() * count);
    const phrase = `${verbs[verb]} ${pick(objects, random)}`;
    const said = polarity[verb] * (random() < flips ? -1 : 1);
    const kind = random();
    if (kind < 0.35) return `it is ${pick(said > 0 ? praise : blame, random)} to ${phrase} .`;
    if (kind < 0.6) return `you should ${said > 0 ? "" : "never "}${phrase} .`;
    return pick(questions, random).replace("{}", phrase);
  };
  const words = [...verbs, ...objects, ...praise, ...blame, ...questions, "it is to . you should never"];
  const tokenizer = trainWordLevel(words, { vocabularySize: 1000 });
  return {
    tokenizer,
    verbs,
    polarity,
    questions,
    sentences(number, stream) {
      const random = randomSource(seed, 2, stream);
      return Array.from({ length: number }, () => tokenizer.encodeIds(sentence(random), { addSpecialTokens: false }));
    },
  };
}
