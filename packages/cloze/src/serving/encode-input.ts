// Texts of requests to sequences that fit, with count of what was cut off.
import type { Steps, Tokenizer } from "../text/index.js";
import type { Unit } from "./scheduler.js";
import { ServingError } from "./serving-error.js";

/** A sequence of a request. */
export interface SequenceUnit extends Unit {
  readonly ids: Int32Array;
  /** Default: all 0. */
  readonly segments?: ArrayLike<number>;
  /** Number of the first position. Default 0. */
  readonly positionOffset?: number;
}

export interface CutOptions {
  /** Tokens at most, special tokens included. */
  readonly maxLength: number;
  /** Cut what is longer, instead of refusing it. */
  readonly truncate: boolean;
  /** Which end is cut off. */
  readonly direction: "left" | "right";
  /** The field of the request that errors name. Default "inputs". */
  readonly field?: string;
}

export interface EncodedInput extends SequenceUnit {
  /** Tokens that were cut off. */
  readonly dropped: number;
}

/** The ids of a text, or of a pair with its segments. */
function* encode(
  tokenizer: Tokenizer,
  text: string,
  pair: string | undefined,
  addSpecialTokens: boolean,
  cut?: CutOptions,
): Steps<{ ids: Int32Array; segments?: Int32Array }> {
  const truncation = cut === undefined ? (false as const) : { maxLength: cut.maxLength, direction: cut.direction };
  try {
    if (pair === undefined) return { ids: yield* tokenizer.encodeIdsSteps(text, { truncation, addSpecialTokens }) };
    const { ids, typeIds } = yield* tokenizer.encodeSteps(text, { pair, truncation, addSpecialTokens });
    return { ids, segments: typeIds };
  } catch (cause) {
    throw new ServingError("tokenizer", cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/**
 * Encodes a text, or a pair of texts, in steps: a text may be megabytes long.
 *
 * @throws ServingError "validation" when it is too long and may not be cut, "tokenizer"
 */
export function* encodeInput(
  tokenizer: Tokenizer,
  { text, pair, addSpecialTokens = true }: { text: string; pair?: string; addSpecialTokens?: boolean },
  cut: CutOptions,
): Steps<EncodedInput> {
  const whole = yield* encode(tokenizer, text, pair, addSpecialTokens);
  const excess = whole.ids.length - cut.maxLength;
  if (whole.ids.length === 0) throw new ServingError("empty", "A text has no tokens");
  if (excess <= 0) return { ...whole, tokens: whole.ids.length, dropped: 0 };
  if (!cut.truncate) throw tooLong(whole.ids.length, cut);
  const short = yield* encode(tokenizer, text, pair, addSpecialTokens, cut);
  return { ...short, tokens: short.ids.length, dropped: excess };
}

export const tooLong = (
  length: number,
  { maxLength, field = "inputs" }: Pick<CutOptions, "maxLength" | "field">,
): ServingError =>
  new ServingError("validation", `${field} must have less than ${maxLength + 1} tokens. Given: ${length}`, { field });

/**
 * Takes ids as they are: they are the model's own, special tokens included.
 *
 * @throws ServingError "validation", "empty"
 */
export function encodeIdsInput(tokenizer: Tokenizer, ids: readonly number[], cut: CutOptions): EncodedInput {
  const wrong = ids.find((id) => id >= tokenizer.vocabularySize);
  if (wrong !== undefined) {
    throw new ServingError(
      "validation",
      `${wrong} is no token of this model; ids are below ${tokenizer.vocabularySize}`,
      { field: cut.field ?? "inputs" },
    );
  }
  if (ids.length === 0) throw new ServingError("empty", "A list of tokens is empty");
  const excess = Math.max(0, ids.length - cut.maxLength);
  if (excess > 0 && !cut.truncate) throw tooLong(ids.length, cut);
  const kept = cut.direction === "left" ? ids.slice(excess) : ids.slice(0, ids.length - excess);
  return { ids: Int32Array.from(kept), tokens: kept.length, dropped: excess };
}
