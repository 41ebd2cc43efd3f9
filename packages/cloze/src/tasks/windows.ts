// Long texts in windows that overlap, each with the special tokens of the model.
import { ClozeError } from "../errors.js";
import { atOnce, type Encoding, type Steps, type Tokenizer } from "../text/index.js";

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

function* windowSteps(first: Encoding, sequence: number): Steps<Window[]> {
  const windows: Window[] = [];
  for (const encoding of [first, ...first.overflowing]) {
    windows.push(windowOf(encoding, sequence));
    yield;
  }
  return windows;
}

/** A text in windows of at most `maxLength` tokens that share `stride` tokens. @throws SEQUENCE_TOO_SHORT */
export const textWindows = (tokenizer: Tokenizer, text: string, maxLength: number, stride: number): Window[] =>
  atOnce(textWindowSteps(tokenizer, text, maxLength, stride));

/** The same in steps. @throws SEQUENCE_TOO_SHORT */
export function* textWindowSteps(
  tokenizer: Tokenizer,
  text: string,
  maxLength: number,
  stride: number,
): Steps<Window[]> {
  const room = maxLength - tokenizer.addedTokens();
  checkRoom(room, maxLength);
  const truncation = { maxLength, stride: strideWithin(stride, room) };
  return yield* windowSteps(yield* tokenizer.encodeSteps(text, { truncation }), 0);
}

function checkRoom(room: number, maxLength: number): void {
  if (room > 0) return;
  throw new ClozeError("SEQUENCE_TOO_SHORT", "The longest sequence leaves no room for text beside special tokens", {
    received: `${maxLength} tokens`,
    remedy: "Raise --max-length.",
  });
}

export interface QuestionWindows {
  readonly windows: Window[];
  readonly cut: boolean;
}

/**
 * A context in windows, each behind the question. A question that would take more than half of the room is cut.
 *
 * @returns windows, with places in the context; `cut` when the question was
 * @throws SEQUENCE_TOO_SHORT
 */
export const questionWindows = (...given: Parameters<typeof questionWindowSteps>): QuestionWindows =>
  atOnce(questionWindowSteps(...given));

/** The same in steps. @throws SEQUENCE_TOO_SHORT */
export function* questionWindowSteps(
  tokenizer: Tokenizer,
  question: string,
  context: string,
  maxLength: number,
  stride: number,
): Steps<QuestionWindows> {
  const room = maxLength - tokenizer.addedTokens(true);
  checkRoom(Math.floor(room / 2), maxLength);
  const whole = yield* tokenizer.encodeSteps(question, { addSpecialTokens: false, truncation: false });
  const most = Math.floor(room / 2);
  const cut = whole.ids.length > most;
  const asked = cut ? question.slice(0, whole.offsets[most - 1][1]) : question;
  const left = room - Math.min(whole.ids.length, most);
  const truncation = { maxLength, stride: strideWithin(stride, left), strategy: "only-second" as const };
  const encoding = yield* tokenizer.encodeSteps(asked, { pair: context, truncation });
  return { windows: yield* windowSteps(encoding, 1), cut };
}
