// A small domain: contracts, their clauses with any number of labels, and names to find in them; or made ones.
import { randomOrder, randomSource } from "../../data/random-source.js";
import type { TextRow, TokenRow } from "../../data/readers/index.js";
import { madeSentences } from "./made-sentences.js";
import { sharedTable } from "./sentence-pairs.js";
import { sharedText } from "./shared-text.js";

export interface ContractClauses {
  /** Sentences of each document, to pre-train on. */
  readonly documents: readonly (readonly string[])[];
  /** Clauses with their labels, and others of other documents. */
  readonly labelled: readonly TextRow[];
  readonly test: readonly TextRow[];
  /** Sentences whose capitalised words are names, and others of other documents. */
  readonly tagged: readonly TokenRow[];
  readonly taggedTest: readonly TokenRow[];
}

interface Clause {
  readonly document: string;
  readonly sentence: string;
  readonly tags: readonly string[];
}

const name = (word: string): boolean => /^\p{Lu}/u.test(word);

/** A sentence's words, capitalised runs behind the first word tagged as names; undefined where there are none, or only such. */
function taggedSentence(sentence: string, row: number): TokenRow | undefined {
  const tokens = sentence.match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? [];
  const named = tokens.map((word, i) => i > 0 && name(word));
  const count = named.filter(Boolean).length;
  if (tokens.length < 5 || tokens.length > 40 || count === 0 || count > tokens.length / 2) return undefined;
  return { tokens, tags: named.map((is, i) => (is ? (named[i - 1] ? "I-NAME" : "B-NAME") : "O")), row };
}

function assemble(train: readonly Clause[], more: readonly Clause[], test: readonly Clause[], seed: number) {
  const chosen = <T>(list: readonly T[], count: number, stream: number): T[] =>
    Array.from(randomOrder(list.length, randomSource(seed, 51, stream)).subarray(0, count), (i) => list[i]);
  const labelled = (clauses: readonly Clause[]): TextRow[] =>
    clauses
      .filter(({ tags }) => tags.length > 0)
      .map(({ sentence, tags }, i) => ({ text: sentence, label: [...tags], row: i + 1 }));
  const tagged = (clauses: readonly Clause[]): TokenRow[] =>
    clauses.flatMap(({ sentence }, i) => taggedSentence(sentence, i + 1) ?? []);
  const documents = new Map<string, string[]>();
  for (const { document, sentence } of [...train, ...more]) {
    const known = documents.get(document);
    if (known === undefined) documents.set(document, [sentence]);
    else known.push(sentence);
  }
  return {
    documents: [...documents.values()],
    labelled: chosen(labelled(train), 500, 1),
    test: labelled(test),
    tagged: chosen(tagged(train), 500, 2),
    taggedTest: chosen(tagged(test), 500, 3),
  };
}

/** Made contracts. */
export function madeContracts(seed: number): ContractClauses {
  const language = madeSentences(seed, 1, { topics: 16 });
  const random = randomSource(seed, 52);
  const make = (documents: number, from: number): Clause[] =>
    Array.from({ length: documents }, (_, d) =>
      Array.from({ length: 100 }, () => {
        const topic = () => Math.floor(random() * language.topics);
        const about = random() < 0.5 ? [topic()] : [topic(), topic()];
        const { text, topics } = language.sentence(random, about);
        return { document: String(from + d), sentence: text, tags: [...new Set(topics)].map((one) => `clause ${one}`) };
      }),
    ).flat();
  return assemble(make(120, 0), [], make(10, 1000), seed);
}

/** Terms of service of ../shared/data with their unfair clauses, or made contracts where these are not at hand. */
export function contractClauses(seed: number): ContractClauses {
  const read = (part: string): Clause[] =>
    sharedTable(`unfair_tos/en_${part}.tsv`).map(({ document, sentence, tags }) => ({
      document,
      sentence,
      tags: tags === "" ? [] : tags.split(/[\s,;]+/),
    }));
  if (sharedText("unfair_tos/en_train.tsv") !== undefined) {
    return assemble(read("train"), read("dev"), read("test"), seed);
  }
  return madeContracts(seed);
}
