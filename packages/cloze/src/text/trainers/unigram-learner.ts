import { Lattice } from "./unigram-lattice.js";
import { frequentSubstrings } from "./unigram-seeds.js";

/** How {@link learnUnigram} grows and shrinks its vocabulary. */
export interface UnigramLearnerOptions {
  /** How many pieces are wanted, unknown and other special ones not counted. */
  readonly pieces: number;
  /** The size of the whole vocabulary, which says when to stop shrinking. */
  readonly vocabularySize: number;
  /** Characters that must be pieces. */
  readonly alphabet: readonly string[];
  /** The most characters of a piece. */
  readonly longestPiece: number;
  /** How many pieces to begin with. */
  readonly seeds: number;
}

/** What share of the pieces a round of shrinking keeps. */
const SHRINKING = 0.75;
const ROUNDS_BETWEEN_SHRINKING = 2;
/** Pieces that are expected to be used less often than this go at once. */
const LEAST_EXPECTED = 0.5;

interface Scored {
  pieces: string[];
  scores: Float64Array;
}

interface Words {
  readonly texts: readonly string[];
  readonly counts: Float64Array;
}

/** The derivative of the logarithm of the gamma function. */
function digamma(value: number): number {
  let result = 0;
  let x = value;
  for (; x < 7; x++) result -= 1 / x;
  x -= 0.5;
  const square = 1 / (x * x);
  const fourth = square * square;
  return (
    result +
    Math.log(x) +
    square / 24 -
    (7 / 960) * fourth +
    (31 / 8064) * fourth * square -
    (127 / 30720) * fourth * fourth
  );
}

/** Every character, and the substrings that repeat; piece 0 stands for what is unknown. */
function seedPieces(words: Words, characters: readonly [string, number][], options: UnigramLearnerOptions): Scored {
  const pieces = ["", ...characters.map(([character]) => character)];
  const counts = [0, ...characters.map(([, count]) => count)];
  for (const { piece, score } of frequentSubstrings(words.texts, options.longestPiece, options.seeds)) {
    if (pieces.length > options.seeds) break;
    pieces.push(piece);
    counts.push(score);
  }
  const total = Math.log(counts.reduce((sum, count) => sum + count, 0));
  const scores = Float64Array.from(counts, (count) => Math.log(count) - total);
  scores[0] = Number.NaN;
  return { pieces, scores };
}

/** One round of expectation and maximization, with the sparse prior that makes rare pieces rarer still. */
function reestimate(model: Scored, words: Words): Scored {
  const lattice = new Lattice(model);
  const expected = new Float64Array(model.pieces.length);
  words.texts.forEach((text, word) => {
    lattice.read(text);
    lattice.addExpected(expected, words.counts[word]);
  });
  const pieces = [""];
  const kept: number[] = [0];
  let sum = 0;
  for (let id = 1; id < expected.length; id++) {
    if (!(expected[id] >= LEAST_EXPECTED)) continue;
    pieces.push(model.pieces[id]);
    kept.push(expected[id]);
    sum += expected[id];
  }
  const total = digamma(sum);
  const scores = Float64Array.from(kept, (count) => digamma(count) - total);
  scores[0] = Number.NaN;
  return { pieces, scores };
}

/** Keeps the pieces without which the texts would become least likely. */
function prune(model: Scored, words: Words, wanted: number): Scored {
  const { pieces, scores } = model;
  const lattice = new Lattice(model);
  const frequency = new Float64Array(pieces.length);
  let allWords = 0;
  words.texts.forEach((text, word) => {
    allWords += words.counts[word];
    lattice.read(text);
    for (const id of lattice.bestPieces()) frequency[id] += words.counts[word];
  });
  const sum = frequency.reduce((total, count) => total + count, 0);
  const kept = [0];
  const candidates: { id: number; loss: number }[] = [];
  for (let id = 1; id < pieces.length; id++) {
    const piece = pieces[id];
    const isCharacter = piece.length === (piece.codePointAt(0)! > 0xffff ? 2 : 1);
    if (isCharacter) {
      kept.push(id);
      continue;
    }
    // What would stand in its place: the best way to write it with other pieces.
    const isBest = lattice.read(piece, id) <= scores[id];
    if (frequency[id] === 0) continue;
    if (!isBest) {
      kept.push(id);
      continue;
    }
    const others = [...lattice.bestPieces()];
    // The reference adds the frequency once for every piece, not for every other piece; vocabularies depend on it.
    const sumThen = Math.log(sum + frequency[id] * (pieces.length - 1));
    let logarithmThen = 0;
    for (const other of others) logarithmThen += Math.log(frequency[other] + frequency[id]) - sumThen;
    const loss = (frequency[id] / allWords) * (Math.log(frequency[id]) - Math.log(sum) - logarithmThen);
    candidates.push({ id, loss });
  }
  const size = Math.max(wanted, Math.floor(pieces.length * SHRINKING));
  candidates.sort((left, right) => right.loss - left.loss || left.id - right.id);
  for (const { id } of candidates) {
    if (kept.length >= size) break;
    kept.push(id);
  }
  return { pieces: kept.map((id) => pieces[id]), scores: Float64Array.from(kept, (id) => scores[id]) };
}

/** The characters that must be there, then the others in order, as many as are wanted; the likeliest first. */
function finish(model: Scored, options: UnigramLearnerOptions): [string, number][] {
  const scoreOf = new Map<string, number>();
  let lowest = Number.POSITIVE_INFINITY;
  for (let id = 1; id < model.pieces.length; id++) {
    scoreOf.set(model.pieces[id], model.scores[id]);
    lowest = Math.min(lowest, model.scores[id]);
  }
  if (lowest === Number.POSITIVE_INFINITY) lowest = 0;
  const chosen = new Map<string, number>();
  let rareness = 0;
  for (const character of options.alphabet) {
    const score = scoreOf.get(character);
    chosen.set(character, score ?? lowest + rareness);
    if (score === undefined) rareness += 0.0001;
  }
  for (const [piece, score] of scoreOf) {
    if (chosen.size >= options.pieces) break;
    if (!chosen.has(piece)) chosen.set(piece, score);
  }
  return [...chosen].sort((left, right) => right[1] - left[1]);
}

/**
 * Learns a Unigram vocabulary: begins with every substring that repeats, and by turns estimates how likely each piece is
 * and drops those that are missed least.
 *
 * @param counts words and how often they were seen.
 * @param characters how often each character was seen.
 * @returns pieces with the natural logarithms of their probabilities, the likeliest first.
 */
export function learnUnigram(
  counts: ReadonlyMap<string, number>,
  characters: readonly [string, number][],
  options: UnigramLearnerOptions,
): [string, number][] {
  const words: Words = { texts: [...counts.keys()], counts: Float64Array.from(counts.values()) };
  const wanted = Math.floor(options.vocabularySize * 1.1);
  let model = seedPieces(words, characters, options);
  for (;;) {
    for (let round = 0; round < ROUNDS_BETWEEN_SHRINKING; round++) model = reestimate(model, words);
    if (model.pieces.length <= wanted) break;
    const before = model.pieces.length;
    model = prune(model, words, wanted);
    if (model.pieces.length >= before) break;
  }
  return finish(model, options);
}
