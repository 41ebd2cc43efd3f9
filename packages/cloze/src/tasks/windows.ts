// Long texts in windows that overlap, each with the special tokens of the model.
import { ClozeError } from "../errors.js";
import type { Encoding, Tokenizer } from "../text/index.js";

/** A window of a text as one sequence. */
export interface Window {
  readonly ids: Int32Array;
  readonly segments: Int32Array;
  /** Where a token of the text begins and ends in it, in UTF-16 units; -1 for other tokens. [tokens] */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

function windowOf({ ids, typeIds, offsets, sequenceIds }: Encoding, sequence: number): Window {
  const starts = new Int32Array(ids.length).fill(-1);
  const ends = new Int32Array(ids.length).fill(-1);
  sequenceIds.forEach((id, token) => {
    if (id === sequence) [starts[token], ends[token]] = offsets[token];
  });
  return { ids, segments: typeIds, starts, ends };
}

/** The largest overlap that lets windows of that room move forward. */
const strideWithin = (stride: number, room: number): number => Math.min(stride, Math.max(0, Math.floor(room / 2)));

/** A text in windows of at most `maxLength` tokens that share `stride` tokens. @throws SEQUENCE_TOO_SHORT */
export function textWindows(tokenizer: Tokenizer, text: string, maxLength: number, stride: number): Window[] {
  const room = maxLength - tokenizer.addedTokens();
  checkRoom(room, maxLength);
  const truncation = { maxLength, stride: strideWithin(stride, room) };
  const first = tokenizer.encode(text, { truncation, padding: false });
  return [first, ...first.overflowing].map((encoding) => windowOf(encoding, 0));
}

function checkRoom(room: number, maxLength: number): void {
  if (room > 0) return;
  throw new ClozeError("SEQUENCE_TOO_SHORT", "The longest sequence leaves no room for text beside special tokens", {
    received: `${maxLength} tokens`,
    remedy: "Raise --max-length.",
  });
}

/**
 * A context in windows, each behind the question. A question that would take more than half of the room is cut.
 *
 * @returns windows, with places in the context; `cut` when the question was
 * @throws SEQUENCE_TOO_SHORT
 */
export function questionWindows(
  tokenizer: Tokenizer,
  question: string,
  context: string,
  maxLength: number,
  stride: number,
): { windows: Window[]; cut: boolean } {
  const room = maxLength - tokenizer.addedTokens(true);
  checkRoom(Math.floor(room / 2), maxLength);
  const whole = tokenizer.encode(question, { addSpecialTokens: false, truncation: false, padding: false });
  const most = Math.floor(room / 2);
  const cut = whole.ids.length > most;
  const asked = cut ? question.slice(0, whole.offsets[most - 1][1]) : question;
  const left = room - Math.min(whole.ids.length, most);
  const truncation = { maxLength, stride: strideWithin(stride, left), strategy: "only-second" as const };
  const first = tokenizer.encode(asked, { pair: context, truncation, padding: false });
  return { windows: [first, ...first.overflowing].map((encoding) => windowOf(encoding, 1)), cut };
}
