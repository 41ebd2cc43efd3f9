// The ids of texts in one buffer: a range for each, cut and joined as `tokenizer.json` says.
import { countSpecial } from "./encoding.js";
import type { IdBuffer } from "./id-encoder.js";
import type { TemplatePart } from "./post-processors/index.js";
import { keptLengths, type TruncationOptions } from "./truncation.js";

/** Where ids begin in a buffer, and where they end. */
export type IdRange = [start: number, end: number];

/** Shortens ranges to what truncation keeps. */
export function cutRanges(
  ranges: IdRange[],
  lengths: readonly number[],
  truncation: TruncationOptions,
  added: number,
): void {
  const kept = keptLengths(lengths, truncation, added) ?? lengths;
  kept.forEach((length, index) => {
    const range = ranges[index];
    if (length >= range[1] - range[0]) return;
    if (truncation.direction === "left") range[0] = range[1] - length;
    else range[1] = range[0] + length;
  });
}

/** Copies ranges of ids, with the special tokens of a template between them. */
export function joinIds(
  template: readonly TemplatePart[],
  buffer: IdBuffer,
  ranges: readonly Readonly<IdRange>[],
  addSpecialTokens: boolean,
): Int32Array {
  let total = addSpecialTokens ? countSpecial(template) : 0;
  for (const part of template) if (part.kind === "sequence") total += ranges[part.index][1] - ranges[part.index][0];
  const joined = new Int32Array(total);
  let at = 0;
  for (const part of template) {
    if (part.kind === "special") {
      if (!addSpecialTokens) continue;
      joined.set(part.ids, at);
      at += part.ids.length;
    } else {
      const [start, end] = ranges[part.index];
      joined.set(buffer.ids.subarray(start, end), at);
      at += end - start;
    }
  }
  return joined;
}
