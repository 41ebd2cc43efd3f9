import { JsonReader } from "../json-reader.js";
import { emptyTokens, type Model, type PieceTokens } from "./model.js";

const isAsciiPunctuation = (character: string): boolean => /[!-/:-@[-`{-~]/.test(character);

/** A piece without the ASCII punctuation at its ends. */
function stripped(piece: string): string {
  let [start, end] = [0, piece.length];
  while (start < end && isAsciiPunctuation(piece[start])) start++;
  while (end > start && isAsciiPunctuation(piece[end - 1])) end--;
  return piece.slice(start, end);
}

/**
 * `SpacedWords`: a piece between white space is the first of these that the list of words has: itself, itself without
 * punctuation around it, that in lower case. Other pieces are nothing, and so are stop words. This is how sentence-transformers'
 * `WhitespaceTokenizer` reads; tokenizer.json has no such model, and Cloze writes none.
 */
export class SpacedWords implements Model {
  private readonly ids: ReadonlyMap<string, number>;

  /** @param words of two that are alike the last counts */
  constructor(
    readonly words: readonly string[],
    readonly stopWords: ReadonlySet<string>,
    /** Pieces are lower-cased first. */
    readonly lowerCase: boolean,
  ) {
    this.ids = new Map(words.map((word, id) => [word, id]));
  }

  tokenize(piece: string): PieceTokens {
    const whole = this.lowerCase ? piece.toLowerCase() : piece;
    const bare = stripped(whole);
    for (const form of [whole, bare, bare.toLowerCase()]) {
      if (this.stopWords.has(form)) break;
      const id = form === "" ? undefined : this.ids.get(form);
      if (id !== undefined) return { ids: [id], starts: [0], ends: [piece.length], surfaces: null };
    }
    return emptyTokens();
  }

  tokenToId(token: string): number | undefined {
    return this.ids.get(token);
  }

  idToToken(id: number): string | undefined {
    return this.words[id];
  }

  get size(): number {
    return this.words.length;
  }

  entries(): Iterable<[string, number]> {
    return this.ids;
  }
}

/** Reads `{"type": "SpacedWords", "words": […], "stop_words": […], "lower_case": false}`. */
export function readSpacedWords(reader: JsonReader): Model {
  const list = (key: string): string[] =>
    reader.array(key).map((word, i) => {
      if (typeof word === "string") return word;
      throw JsonReader.invalid(`${reader.at(key)}[${i}]`, "a word", word);
    });
  return new SpacedWords(list("words"), new Set(list("stop_words")), reader.boolean("lower_case", false));
}
