import { ClozeError } from "../errors.js";
import type { WordSense } from "./wordnet.js";

export interface ReverseDictionaryOptions {
  /** Senses whose definitions are the queries of the evaluation; 2,000 unless told. */
  heldOutCount?: number;
  /** Decides which senses are held out; 1 unless told. */
  seed?: number;
}

export interface TrainingPair {
  /** Position of the sense in the list of senses, and of its document. */
  sense: number;
  query: string;
  document: string;
}

/** The fixed evaluation of the reverse dictionary, and the pairs one may train on. */
export interface ReverseDictionary {
  /** One document per sense, in the order of the senses. */
  documents: string[];
  /** Positions of the held-out senses, ascending. */
  heldOut: Int32Array;
  /** The held-out definitions, in the order of `heldOut`; the right answer of query i is document `heldOut[i]`. */
  queries: string[];
  /** (definition, document) of every sense that is not held out. */
  pairs: TrainingPair[];
}

/** A small counter-based generator (mulberry32): the same seed gives the same draw on every machine. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Draws `count` different positions below `size`, ascending. */
export function drawPositions(size: number, count: number, seed: number): Int32Array {
  if (!Number.isInteger(count) || count < 0 || count > size) {
    throw new ClozeError("REVERSE_DICTIONARY_HELD_OUT", "So many senses cannot be held out.", {
      expected: `a whole number from 0 to ${size}`,
      received: String(count),
    });
  }
  const random = randomNumbers(seed);
  const order = Int32Array.from({ length: size }, (_, position) => position);
  for (let place = 0; place < count; place++) {
    const other = place + Math.floor(random() * (size - place));
    [order[place], order[other]] = [order[other], order[place]];
  }
  return order.slice(0, count).sort();
}

/**
 * Builds the evaluation: a sense's document is its lemmas, up to two examples, and its first hypernym's lemmas and
 * definition. It never holds the sense's own definition, and no held-out definition either: not that of a held-out
 * hypernym, nor a text equal to one.
 */
export function buildReverseDictionary(
  senses: readonly WordSense[],
  options: ReverseDictionaryOptions = {},
): ReverseDictionary {
  const heldOut = drawPositions(senses.length, options.heldOutCount ?? 2000, options.seed ?? 1);
  const queries = Array.from(heldOut, (position) => senses[position].definition);
  const hiddenTexts = new Set(queries);
  const documents = senses.map((sense) => {
    const parts = [sense.lemmas.join(", "), ...sense.examples.slice(0, 2)];
    const hypernym = senses[sense.hypernyms[0] ?? -1];
    if (hypernym !== undefined) {
      parts.push(hypernym.lemmas.join(", "));
      const { definition } = hypernym;
      if (definition !== sense.definition && !hiddenTexts.has(definition)) parts.push(definition);
    }
    return parts.join("; ");
  });
  const hidden = new Set(heldOut);
  const pairs: TrainingPair[] = [];
  for (const [position, sense] of senses.entries()) {
    // A sense that shares its words with a held-out definition would teach the answer's text: leave it out too.
    if (hidden.has(position) || hiddenTexts.has(sense.definition)) continue;
    pairs.push({ sense: position, query: sense.definition, document: documents[position] });
  }
  return { documents, heldOut, queries, pairs };
}
