// What the demo learns and searches: WordNet, or a user's own lines.
import { buildReverseDictionary } from "../data/reverse-dictionary.js";
import { readWordNet } from "../data/wordnet.js";
import type { TextPair } from "../embedding/train-embedder.js";
import { readLines } from "../text/index.js";
import type { SearchTask } from "./evaluation.js";
import { prepareOwnText } from "./own-text.js";

/** A text that the page can find, and how it shows it. */
export interface ShownDocument {
  readonly title: string;
  readonly note: string;
  readonly text: string;
}

export interface Subject {
  /** Part of the folder's name. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly placeholder: string;
  readonly examples: readonly string[];
  /** What the tokenizer learns from. */
  readonly corpus: readonly string[];
  readonly vocabularySize: number;
  readonly pairs: readonly TextPair[];
  readonly task: SearchTask;
  /**
   * What the page searches besides the task's documents: one more text for each shown document, read as a query is (a
   * sense's own definition). Undefined: the documents alone.
   */
  readonly definitions?: readonly string[];
  /** What the page finds: as many as the task has documents. */
  readonly shown: readonly ShownDocument[];
}

/** The reverse dictionary: a definition finds its word among 117,791 senses. */
export function wordNetSubject(): Subject {
  const senses = readWordNet();
  const { documents, queries, heldOut, pairs } = buildReverseDictionary(senses);
  return {
    name: "reverse-dictionary",
    title: "Reverse dictionary",
    description: "Describe a thing, and find its word. Learnt from WordNet on this machine, from nothing.",
    placeholder: "a large animal with a long trunk",
    examples: [
      "a large animal with a long trunk",
      "fear of confined spaces",
      "a person who studies the stars",
      "to speak very quietly",
      "a doctor for children",
    ],
    corpus: [...documents, ...pairs.map(({ query }) => query)],
    vocabularySize: 30522,
    pairs,
    task: { documents, queries, answers: heldOut },
    definitions: senses.map(({ definition }) => definition),
    shown: senses.map(({ lemmas, partOfSpeech, definition }) => ({
      title: lemmas.join(", "),
      note: partOfSpeech,
      text: definition,
    })),
  };
}

/** A user's own text, one document a line. @throws OWN_TEXT_SHORT, and what reading the file throws */
export function ownTextSubject(path: string): Subject {
  const lines = [...readLines([path])];
  const { pairs, task, lines: usable } = prepareOwnText(lines);
  return {
    name: "own-text",
    title: "Your text",
    description: `Nearest lines of ${path}. Learnt from it on this machine, from nothing.`,
    placeholder: "what are you looking for?",
    examples: task.queries.slice(0, 3).map((query) => query.slice(0, 60)),
    corpus: usable,
    vocabularySize: Math.min(30522, Math.max(2000, usable.length)),
    pairs,
    task,
    definitions: undefined,
    shown: usable.map((line, i) => ({ title: `Line ${i + 1}`, note: "", text: line })),
  };
}
