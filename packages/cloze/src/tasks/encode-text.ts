// A text or a pair of texts as one sequence that fits.
import type { Sequence } from "../data/packed-batch.js";
import type { TextRow } from "../data/readers/index.js";
import type { EncodeContext } from "./task.js";

/**
 * Encodes a text, or a pair, cut to the context's longest sequence (the longer text of a pair gives way). Cuts are counted
 * as TEXT_CUT.
 */
export function encodeText({ text, pair, row }: TextRow, context: EncodeContext): Sequence {
  const { tokenizer, maxLength } = context;
  const attempt = (truncation: { maxLength: number } | false): Sequence => {
    if (pair === undefined) return { ids: tokenizer.encodeIds(text, { truncation }) };
    const { ids, typeIds } = tokenizer.encode(text, { pair, truncation, padding: false });
    return { ids, segments: typeIds };
  };
  const whole = attempt(false);
  if (whole.ids.length <= maxLength) return whole;
  context.warnings.add(
    "TEXT_CUT",
    `texts longer than ${maxLength} tokens; what follows was cut off`,
    `row ${row}, of ${whole.ids.length} tokens`,
  );
  return attempt({ maxLength });
}
