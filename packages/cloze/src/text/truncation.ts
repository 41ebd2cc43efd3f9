import { ClozeError } from "../errors.js";
import { type SequenceTokens, sliceSequence } from "./encoding.js";
import type { JsonReader } from "./json-reader.js";

/** How an encoding is made to fit. */
export interface TruncationOptions {
  /** The most tokens an encoding may have, special tokens included. */
  maxLength: number;
  /** How many tokens neighbouring windows share; 0 by default. */
  stride?: number;
  /** Which text of a pair gives way: the longer one (the default), the first or the second. */
  strategy?: "longest-first" | "only-first" | "only-second";
  /** Which end of a text is cut off; `right` by default. */
  direction?: "left" | "right";
  /**
   * Which text of a pair is the longer one where both have more tokens than fit: by all their tokens (`whole`, the default,
   * as `tokenizers` up to 0.22 and from 0.23.3), or by those of as many whole pieces as fill the room (`filled`, as 0.23.1
   * and 0.23.2, which stop there).
   */
  pairLengths?: "whole" | "filled";
}

const STRATEGIES = {
  LongestFirst: "longest-first",
  OnlyFirst: "only-first",
  OnlySecond: "only-second",
} as const;

/** Reads the `truncation` section; null where there is none. */
export function readTruncation(reader: JsonReader): TruncationOptions | null {
  if (!reader.has("truncation")) return null;
  const section = reader.reader("truncation");
  const strategy = section.choice("strategy", ["LongestFirst", "OnlyFirst", "OnlySecond"], "LongestFirst");
  return {
    maxLength: section.integer("max_length"),
    stride: section.integer("stride", 0),
    strategy: STRATEGIES[strategy],
    direction: section.choice("direction", ["Left", "Right"], "Right") === "Left" ? "left" : "right",
  };
}

function fail(message: string, expected: string, received: string, remedy: string): ClozeError {
  return new ClozeError("TOKENIZER_TRUNCATION", message, { expected, received, remedy });
}

/** The windows of one text: the first is kept, the others overflow. */
function windows(tokens: SequenceTokens, length: number, stride: number, fromLeft: boolean): SequenceTokens[] {
  const total = tokens.ids.length;
  if (length >= total) return [tokens];
  if (length === 0) return [sliceSequence(tokens, 0, 0), tokens];
  if (stride >= length) {
    throw fail(
      "Windows must move forward.",
      `a stride below ${length}, the room that special tokens leave`,
      String(stride),
      "Lower the stride or raise maxLength.",
    );
  }
  const parts: SequenceTokens[] = [];
  const step = length - stride;
  if (fromLeft) {
    for (let end = total; end > 0; end -= step) {
      parts.push(sliceSequence(tokens, Math.max(0, end - length), end));
      if (end <= length) break;
    }
  } else {
    for (let start = 0; start < total; start += step) {
      parts.push(sliceSequence(tokens, start, Math.min(start + length, total)));
      if (start + length >= total) break;
    }
  }
  return parts;
}

/** How long each text of a pair may be so that both fit; what is short stays whole. */
function shareRoom(first: number, second: number, room: number): [number, number] {
  const [short, long] = first <= second ? [first, second] : [second, first];
  let [less, more] = [short, short > room ? short : Math.max(short, Math.min(long, room - short))];
  if (less + more > room) {
    less = Math.floor(room / 2);
    more = less + (room % 2);
  }
  return first <= second ? [less, more] : [more, less];
}

/**
 * How many tokens of each text are kept so that they fit together with the special tokens; null where all fit.
 *
 * @param lengths how many tokens each text has.
 * @param added how many special tokens there will be.
 * @throws ClozeError `TOKENIZER_TRUNCATION` where the options leave nothing to keep.
 */
export function keptLengths(lengths: readonly number[], options: TruncationOptions, added: number): number[] | null {
  const { maxLength, stride = 0, strategy = "longest-first" } = options;
  checkCount("maxLength", maxLength);
  checkCount("stride", stride);
  if (maxLength < added) {
    throw fail(
      "maxLength leaves no room for the special tokens.",
      `at least ${added}`,
      String(maxLength),
      "Raise maxLength, or encode without special tokens.",
    );
  }
  const room = maxLength - added;
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (total <= room) return null;
  if (room === 0) return lengths.map(() => 0);
  if (strategy === "longest-first") {
    return lengths.length === 1 ? [room] : shareRoom(lengths[0], lengths[1], room);
  }
  const target = strategy === "only-first" ? 0 : 1;
  const left = (lengths[target] ?? 0) - (total - room);
  if (left <= 0) {
    throw fail(
      `The strategy "${strategy}" cannot make the encoding fit.`,
      "a text that is longer than what must be cut off",
      target < lengths.length ? `${lengths[target]} tokens, ${total - room} too many` : "no second text",
      'Use the strategy "longest-first", or raise maxLength.',
    );
  }
  return lengths.map((length, index) => (index === target ? left : length));
}

function checkCount(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 0) return;
  throw fail(`${name} cannot be used.`, "a whole number, 0 or more", String(value), "Correct the option.");
}

/** How many tokens of a text of a pair count, see `pairLengths`. */
export function countedLength({ ids, words }: SequenceTokens, options: TruncationOptions): number {
  const { maxLength, direction = "right", pairLengths = "whole" } = options;
  const total = ids.length;
  if (pairLengths === "whole" || total <= maxLength || maxLength === 0) return total;
  let length = maxLength;
  const wordAt = (at: number): number => words[direction === "left" ? total - 1 - at : at];
  while (length < total && wordAt(length) === wordAt(length - 1)) length++;
  return length;
}

/** Cuts one or two texts as {@link keptLengths} says; gives the windows of each text, the kept one first. */
export function truncate(
  sequences: readonly SequenceTokens[],
  options: TruncationOptions,
  added: number,
): SequenceTokens[][] {
  const lengths = sequences.map((tokens) =>
    sequences.length > 1 ? countedLength(tokens, options) : tokens.ids.length,
  );
  const kept = keptLengths(lengths, options, added) ?? lengths;
  const { stride = 0, direction = "right" } = options;
  return sequences.map((tokens, index) => windows(tokens, kept[index], stride, direction === "left"));
}
