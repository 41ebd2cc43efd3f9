// New pieces for a tokenizer, learnt from texts that it cuts into too many: entries of its vocabulary, not added tokens.
import { ClozeError } from "../errors.js";
import type { JsonObject, JsonValue } from "./json-reader.js";
import type { Tokenizer } from "./tokenizer.js";
import { emptyCorpus } from "./trainers/alphabet.js";
import { learnMerges } from "./trainers/learn-merges.js";

export interface ExtendTokenizerOptions {
  /** How many pieces are added at most. */
  count: number;
  /** Pieces that would be used less often are not added. Default 5. */
  minFrequency?: number;
}

/** A new entry of the vocabulary. */
export interface AddedPiece {
  readonly id: number;
  readonly token: string;
  /** The ids that stood for it before. */
  readonly pieces: readonly number[];
}

export interface ExtendedTokenizer {
  readonly tokenizer: Tokenizer;
  readonly added: readonly AddedPiece[];
  /** Words of the texts, and those of them that are cut otherwise now. */
  readonly words: number;
  readonly changedWords: number;
  /** Of these, words that have become unknown: the rest of the word after a new piece cannot be written. */
  readonly unknownWords: number;
  readonly tokensBefore: number;
  readonly tokensAfter: number;
}

/** A distinct word of the texts, as the model is given it. */
interface Word {
  readonly text: string;
  readonly ids: readonly number[];
  count: number;
}

/** A new piece before it has an id. */
interface Candidate {
  readonly token: string;
  readonly pieces: readonly number[];
}

type Kind = "WordPiece" | "BPE" | "Unigram";

/** What the model's JSON says of how pieces are written. */
interface Form {
  readonly kind: Kind;
  readonly model: JsonObject;
  readonly prefix: string;
  readonly suffix: string;
}

function formOf(json: JsonObject): Form {
  const model = json.model as JsonObject;
  const type =
    model.type ?? ("merges" in model ? "BPE" : "max_input_chars_per_word" in model ? "WordPiece" : undefined);
  const text = (key: string, otherwise: string): string =>
    typeof model[key] === "string" ? (model[key] as string) : otherwise;
  if (type === "WordPiece" || type === "BPE" || type === "Unigram") {
    const prefix = type === "Unigram" ? "" : text("continuing_subword_prefix", type === "WordPiece" ? "##" : "");
    return { kind: type, model, prefix, suffix: type === "BPE" ? text("end_of_word_suffix", "") : "" };
  }
  throw new ClozeError("TOKENIZER_EXTEND", "The vocabulary of this tokenizer cannot be extended", {
    expected: "a WordPiece, BPE or Unigram model",
    received: JSON.stringify(type ?? null),
  });
}

/** The text that the model cut into these tokens. */
const textOf = (tokens: readonly string[], { prefix, suffix }: Form): string => {
  const joined = tokens.map((token, i) => (i > 0 && token.startsWith(prefix) ? token.slice(prefix.length) : token));
  const text = joined.join("");
  return suffix !== "" && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
};

/** The words of a text as runs of token positions; unknown ones and added tokens are left out. */
function* wordsOf(tokenizer: Tokenizer, text: string, form: Form): Generator<{ ids: number[]; tokens: string[] }> {
  const { ids, tokens, wordIds } = tokenizer.encode(text, {
    addSpecialTokens: false,
    truncation: false,
    padding: false,
  });
  let start = 0;
  for (let at = 1; at <= ids.length; at++) {
    // A Unigram model may get whole sentences; its pieces stay inside of words.
    const begins = form.kind === "Unigram" && at < ids.length && !tokenizer.isContinuation(ids[at]);
    if (at < ids.length && wordIds[at] === wordIds[start] && !begins) continue;
    const word = { ids: Array.from(ids.subarray(start, at)), tokens: tokens.slice(start, at) };
    start = at;
    const known = word.ids.every((id) => !tokenizer.specialIds.has(id) && tokenizer.model.idToToken(id) !== undefined);
    if (word.ids.length > 0 && known) yield word;
  }
}

function countWords(tokenizer: Tokenizer, texts: Iterable<string>, form: Form): Word[] {
  const words = new Map<string, Word>();
  for (const line of texts) {
    for (const { ids, tokens } of wordsOf(tokenizer, line, form)) {
      const key = ids.join();
      const known = words.get(key);
      if (known !== undefined) known.count++;
      else words.set(key, { text: textOf(tokens, form), ids, count: 1 });
    }
  }
  if (words.size === 0) throw emptyCorpus();
  return [...words.values()];
}

/** Joins neighbouring pieces, the most frequent pairs first, until there are so many new ones. */
function learnPieces(tokenizer: Tokenizer, words: readonly Word[], form: Form, count: number, minFrequency: number) {
  const known = Array.from({ length: tokenizer.vocabularySize }, (_, id) => tokenizer.idToToken(id) ?? `\0${id}`);
  const tokens = [...known];
  const starts = new Int32Array(words.length + 1);
  words.forEach(({ ids }, w) => {
    starts[w + 1] = starts[w] + ids.length;
  });
  const symbols = {
    symbols: Int32Array.from(words.flatMap(({ ids }) => ids)),
    starts,
    counts: Float64Array.from(words, (word) => word.count),
  };
  const size = new Set(known).size;
  const merges = learnMerges(symbols, tokens, { vocabularySize: size + count, minFrequency, prefix: form.prefix });
  const parts = new Map<number, readonly number[]>();
  const expand = (id: number): readonly number[] => parts.get(id) ?? [id];
  const made = new Map(tokens.map((token, id) => [token, id]));
  for (const [left, right] of merges) {
    const rest = tokens[right].startsWith(form.prefix) ? tokens[right].slice(form.prefix.length) : tokens[right];
    const id = made.get(tokens[left] + rest) as number;
    if (id >= known.length && !parts.has(id)) parts.set(id, [...expand(left), ...expand(right)]);
  }
  const candidates = tokens.slice(known.length).map((token, i) => ({
    token,
    // Joining may go through old pieces that are less likely than what the model cuts.
    pieces: form.kind === "Unigram" ? tokenizer.model.tokenize(token).ids : expand(known.length + i),
  }));
  return { candidates, merges: merges.map(([left, right]): [string, string] => [tokens[left], tokens[right]]) };
}

/** A word that was asked for: whole where the model allows, else joined from the left. */
function piecesForWords(tokenizer: Tokenizer, wanted: readonly string[], form: Form) {
  const candidates = new Map<string, Candidate>();
  const merges: [string, string][] = [];
  for (const text of wanted) {
    const [word, ...others] = [...wordsOf(tokenizer, ` ${text}`, form)];
    if (word === undefined || others.length > 0) {
      throw new ClozeError("TOKENIZER_EXTEND", "The tokenizer does not take this for one word", {
        expected: "words whose characters the vocabulary can write, without spaces or punctuation",
        received: JSON.stringify(text),
      });
    }
    const { ids, tokens } = word;
    for (let end = form.kind === "BPE" ? 2 : tokens.length; end <= tokens.length && tokens.length > 1; end++) {
      const joined = (to: number): string =>
        tokens
          .slice(0, to)
          .reduce((all, token) => all + (token.startsWith(form.prefix) ? token.slice(form.prefix.length) : token));
      if (form.kind === "BPE") merges.push([joined(end - 1), tokens[end - 1]]);
      candidates.set(joined(end), { token: joined(end), pieces: ids.slice(0, end) });
    }
  }
  return {
    candidates: [...candidates.values()].filter(({ token }) => tokenizer.tokenToId(token) === undefined),
    merges,
  };
}

/** Log-probabilities of Unigram pieces by id. */
const scoresOf = ({ model }: Form): number[] =>
  (model.vocab as JsonValue[]).map((entry) => (entry as [string, number])[1]);

/**
 * The tokenizer with new entries at the end of its vocabulary. A Unigram piece is likelier than what stood for it, and than
 * two new pieces that together are the same.
 */
function withPieces(
  tokenizer: Tokenizer,
  form: Form,
  candidates: readonly Candidate[],
  merges: readonly (readonly [string, string])[],
): { tokenizer: Tokenizer; added: AddedPiece[] } {
  const first = tokenizer.vocabularySize;
  const added = candidates.map(({ token, pieces }, i) => ({ token, pieces, id: first + i }));
  const json = tokenizer.toJson();
  const model = json.model as JsonObject;
  if (form.kind === "Unigram") {
    const vocab = [...(model.vocab as JsonValue[])];
    const scores = scoresOf(form);
    const lowest = scores.reduce((least, score) => Math.min(least, score), 0);
    // Pieces have the ids of their places: what was added at ids behind them takes its place here too, and is found before.
    for (let id = vocab.length; id < first; id++) vocab.push([tokenizer.idToToken(id) ?? `<unused_${id}>`, lowest]);
    for (const { token, pieces } of added) {
      const before = pieces.reduce((sum, id) => sum + (scores[id] ?? lowest), 0);
      vocab.push([token, Math.min(0, Math.max(lowest, before + 0.5 * (pieces.length - 1)))]);
    }
    model.vocab = vocab;
  } else {
    const entries = added.map(({ token, id }): [string, JsonValue] => [token, id]);
    // Not by assignment: `__proto__` may be a token.
    model.vocab = Object.fromEntries([...Object.entries(model.vocab as JsonObject), ...entries]);
    if (form.kind === "BPE") {
      const before = model.merges as JsonValue[];
      const asText = typeof before[0] === "string";
      model.merges = [...before, ...merges.map((pair) => (asText ? pair.join(" ") : [...pair]))];
    }
  }
  return { tokenizer: tokenizer.withJson(json), added };
}

const cut = (tokenizer: Tokenizer, { text }: Word): readonly number[] => tokenizer.model.tokenize(text).ids;

/** Of more pieces than wanted, those that save the most tokens: steps on the way to longer ones fall out. */
function chooseUsed(
  tokenizer: Tokenizer,
  words: readonly Word[],
  form: Form,
  all: readonly Candidate[],
  options: ExtendTokenizerOptions,
) {
  const { count, minFrequency = 5 } = options;
  const trial = withPieces(tokenizer, form, all, []);
  const uses = new Map<number, number>();
  for (const word of words) {
    for (const id of cut(trial.tokenizer, word)) uses.set(id, (uses.get(id) ?? 0) + word.count);
  }
  const used = trial.added.map(({ token, pieces, id }) => ({ token, pieces, uses: uses.get(id) ?? 0 }));
  const saved = ({ uses, pieces }: (typeof used)[number]): number => uses * (pieces.length - 1);
  return used
    .filter(({ uses }) => uses >= minFrequency)
    .sort((a, b) => saved(b) - saved(a))
    .slice(0, count);
}

/**
 * Adds pieces to a tokenizer: learnt from texts (neighbouring pieces that occur together often, as byte-pair encoding joins
 * them), or words that are named. Ids that exist keep their meaning. BPE joins new pairs after all old ones, so that old
 * texts change only where a new piece stands; WordPiece takes the longest piece that fits, so that any word that has a new
 * piece at the right place is cut otherwise (`changedWords` counts those of the texts). Words that the vocabulary cannot
 * write at all teach nothing.
 *
 * @param source texts, read once; or a list of words
 * @throws TOKENIZER_EXTEND, TOKENIZER_EMPTY_CORPUS
 * @example
 * const { tokenizer, added } = extendTokenizer(loadTokenizer("bert"), { texts: readLines("medicine.txt") }, { count: 1000 });
 */
export function extendTokenizer(
  tokenizer: Tokenizer,
  source: { readonly texts: Iterable<string> } | { readonly words: readonly string[] },
  options: ExtendTokenizerOptions,
): ExtendedTokenizer {
  const { count, minFrequency = 5 } = options;
  if (!Number.isInteger(count) || count < 1) {
    throw new ClozeError("TOKENIZER_EXTEND", "The number of new pieces cannot be used", {
      expected: "a whole number from 1",
      received: String(count),
    });
  }
  const form = formOf(tokenizer.toJson());
  if ("words" in source) {
    const { candidates, merges } = piecesForWords(tokenizer, source.words, form);
    const result = withPieces(tokenizer, form, candidates, merges);
    return { ...result, words: 0, changedWords: 0, unknownWords: 0, tokensBefore: 0, tokensAfter: 0 };
  }
  const words = countWords(tokenizer, source.texts, form);
  const result = form.kind === "BPE" ? addMerges() : addUsed();

  function addMerges() {
    const { candidates, merges } = learnPieces(tokenizer, words, form, count, minFrequency);
    return withPieces(tokenizer, form, candidates, merges);
  }
  function addUsed() {
    // Steps on the way to longer pieces fall out again, so more are learnt until enough remain.
    for (let wanted = 2 * count; ; wanted *= 2) {
      const { candidates } = learnPieces(tokenizer, words, form, wanted, minFrequency);
      const chosen = chooseUsed(tokenizer, words, form, candidates, options);
      if (chosen.length < count && candidates.length >= wanted) continue;
      return withPieces(tokenizer, form, chosen, []);
    }
  }
  const unknown = tokenizer.roles.unknown;
  const totals = { words: 0, changedWords: 0, unknownWords: 0, tokensBefore: 0, tokensAfter: 0 };
  for (const word of words) {
    const after = cut(result.tokenizer, word);
    totals.words += word.count;
    totals.tokensBefore += word.count * word.ids.length;
    totals.tokensAfter += word.count * after.length;
    if (after.join() !== word.ids.join()) totals.changedWords += word.count;
    if (unknown !== undefined && after.includes(unknown)) totals.unknownWords += word.count;
  }
  return { ...result, ...totals };
}
