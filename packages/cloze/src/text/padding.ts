import type { Encoding } from "./encoding.js";
import type { JsonReader } from "./json-reader.js";

/** How encodings are filled up to one length. */
export interface PaddingOptions {
  /** The length to fill up to; by default, that of the longest of the batch. */
  length?: number | null;
  /** Rounds the length up; none by default. */
  multipleOf?: number | null;
  padId?: number;
  padTypeId?: number;
  padToken?: string;
  /** Where padding goes; `right` by default. */
  direction?: "left" | "right";
}

/** More than any model takes; a larger number is a mistake, and would fill the memory. */
const LONGEST = 1 << 24;

function readLength(reader: JsonReader, key: string): number {
  const length = reader.integer(key);
  if (length > LONGEST) throw reader.fail(key, `at most ${LONGEST}`);
  return length;
}

/** Reads the `padding` section; null where there is none. */
export function readPadding(reader: JsonReader): PaddingOptions | null {
  if (!reader.has("padding")) return null;
  const section = reader.reader("padding");
  const strategy = section.value("strategy");
  const isFixed = strategy !== undefined && strategy !== null && strategy !== "BatchLongest";
  return {
    length: isFixed ? readLength(section.reader("strategy"), "Fixed") : null,
    multipleOf: section.has("pad_to_multiple_of") ? readLength(section, "pad_to_multiple_of") : null,
    padId: section.integer("pad_id", 0),
    padTypeId: section.integer("pad_type_id", 0),
    padToken: section.string("pad_token", "[PAD]"),
    direction: section.choice("direction", ["Left", "Right"], "Right") === "Left" ? "left" : "right",
  };
}

/** Fills encodings, and what overflows from them, up to the same length. Longer ones stay as they are. */
export function padEncodings(encodings: readonly Encoding[], options: PaddingOptions): Encoding[] {
  let length = options.length ?? encodings.reduce((longest, { ids }) => Math.max(longest, ids.length), 0);
  const multiple = options.multipleOf ?? 0;
  if (multiple > 0) length = Math.ceil(length / multiple) * multiple;
  return encodings.map((encoding) => pad(encoding, length, options));
}

function pad(encoding: Encoding, length: number, options: PaddingOptions): Encoding {
  const overflowing = encoding.overflowing.map((window) => pad(window, length, options));
  const missing = length - encoding.ids.length;
  if (missing <= 0) return { ...encoding, overflowing };
  const left = options.direction === "left";
  const fill = <Value>(value: Value): Value[] => new Array<Value>(missing).fill(value);
  const join = <Value>(list: readonly Value[], value: Value): Value[] =>
    left ? [...fill(value), ...list] : [...list, ...fill(value)];
  const at = left ? missing : 0;
  const ids = new Int32Array(length).fill(options.padId ?? 0);
  ids.set(encoding.ids, at);
  const typeIds = new Int32Array(length).fill(options.padTypeId ?? 0);
  typeIds.set(encoding.typeIds, at);
  const specialTokensMask = new Uint8Array(length).fill(1);
  specialTokensMask.set(encoding.specialTokensMask, at);
  const attentionMask = new Uint8Array(length);
  attentionMask.set(encoding.attentionMask, at);
  return {
    ids,
    typeIds,
    tokens: join(encoding.tokens, options.padToken ?? "[PAD]"),
    offsets: join<readonly [number, number]>(encoding.offsets, [0, 0]),
    specialTokensMask,
    attentionMask,
    wordIds: join(encoding.wordIds, null),
    sequenceIds: join(encoding.sequenceIds, null),
    overflowing,
  };
}
