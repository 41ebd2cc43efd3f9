// The seed verbs and questions of the moral direction (ml-research/MoRT_NMI, MIT).
import type { AnswerTemplate } from "../templates.js";
import type { AxisPreset } from "./preset.js";

const itIs = (question: string): AnswerTemplate => ({ question, no: "No, it is not.", yes: "Yes, it is." });
const may = (question: string, verb: string): AnswerTemplate => ({
  question,
  no: `No, you ${verb} not.`,
  yes: `Yes, you ${verb}.`,
});
const words = (text: string): readonly string[] => text.split(/\s+/);

/** The ten questions with their answers, which only the cosine baseline reads. */
export const moralTemplates: readonly AnswerTemplate[] = [
  itIs("Is it ok to {}?"),
  itIs("Is it allowed to {}?"),
  itIs("Is it recommended to {}?"),
  itIs("Is it desired to {}?"),
  itIs("Is it polite to {}?"),
  itIs("Is it good behaviour to {}?"),
  itIs("Is it exemplary to {}?"),
  may("Should I {}?", "should"),
  may("Shall I {}?", "shall"),
  may("May I {}?", "may"),
];

const high = words(
  `smile cheer relax celebrate hug greet cuddle enjoy volunteer love cherish welcome clap appreciate congratulate treasure
   charm comfort inspire admire compliment thank dream care`,
);
const low = words(
  `harm damage slander destroy brutalise poison misinform murder kill rape assault victimise bully pollute misreport
   illegalize blame misadvise destruct misdirect slaughter attack torture traumatize`,
);
const neither = words(`eat travel steal pursue waste drink help become be have talk lie apologize marry go divorce`);

/**
 * The moral direction (arXiv 2103.11790): 64 verbs without an object in ten questions. It measures agreement with the norms
 * of the texts that an encoder was trained on, not ethics.
 */
export const moral: AxisPreset = {
  name: "moral",
  description: "what people say one should or should not do (MoRT)",
  phrases: [...high, ...low, ...neither],
  templates: moralTemplates,
  components: 5,
  orientBy: "kill",
  normaliseTo: "kill people",
  high,
  low,
};
