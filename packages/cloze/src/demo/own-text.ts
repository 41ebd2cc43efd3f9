// A search task from a user's own text: one document a line; a part of a line is to find the rest of it.

import { randomSource } from "../data/random-source.js";
import { drawPositions } from "../data/reverse-dictionary.js";
import type { TextPair } from "../embedding/train-embedder.js";
import { ClozeError } from "../errors.js";
import type { SearchTask } from "./evaluation.js";

export interface OwnText {
  readonly lines: readonly string[];
  readonly pairs: readonly TextPair[];
  /** Half of a held-out line finds its other half among all lines. */
  readonly task: SearchTask;
}

/** Scripts that write no spaces between words. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const shortestUnspaced = 8;

/**
 * What a text may be cut between, and what stands there: words, or characters where a script writes no spaces. None in a text
 * that is too short.
 */
function unitsOf(text: string): { words: string[]; between: string } {
  const words = text.split(/\s+/).filter((word) => word !== "");
  if (words.length >= 4) return { words, between: " " };
  const characters = [...words.join(" ")];
  const enough = characters.length >= shortestUnspaced && unspaced.test(text);
  return { words: enough ? characters : [], between: "" };
}

/** Cuts a text into a span of words and the rest; undefined where it is too short. */
function cut(text: string, random: () => number): { span: string; rest: string } | undefined {
  const { words, between } = unitsOf(text);
  if (words.length === 0) return undefined;
  const length = Math.max(2, Math.min(words.length - 2, Math.round(words.length * (0.3 + 0.4 * random()))));
  const start = Math.floor(random() * (words.length - length + 1));
  return {
    span: words.slice(start, start + length).join(between),
    rest: [...words.slice(0, start), ...words.slice(start + length)].join(between),
  };
}

/**
 * Makes pairs for contrastive training from plain lines (inverse cloze task, arXiv 1906.00300) and holds some lines out.
 *
 * @throws OWN_TEXT_SHORT when there are too few lines to learn from
 */
export function prepareOwnText(lines: readonly string[], { seed = 1, cuts = 4 } = {}): OwnText {
  const random = randomSource(seed, 11);
  const usable = lines.filter((line) => cut(line, () => 0.5) !== undefined);
  if (usable.length < 20) {
    throw new ClozeError("OWN_TEXT_SHORT", "There is too little text to learn from", {
      expected: `at least 20 lines of four words (of ${shortestUnspaced} characters in a script without spaces) or more, one document a line`,
      received: `${usable.length} such lines`,
    });
  }
  const heldOut = drawPositions(usable.length, Math.min(500, Math.floor(usable.length / 10)), seed);
  const hidden = new Set(heldOut);
  const documents = [...usable];
  const queries = Array.from(heldOut, (position) => {
    const { span, rest } = cut(usable[position], random) as { span: string; rest: string };
    documents[position] = rest;
    return span;
  });
  const pairs: TextPair[] = [];
  usable.forEach((line, position) => {
    if (hidden.has(position)) return;
    for (let i = 0; i < cuts; i++) {
      const { span, rest } = cut(line, random) as { span: string; rest: string };
      pairs.push({ query: span, document: rest });
    }
  });
  return { lines: usable, pairs, task: { documents, queries, answers: heldOut } };
}
