// A text or a pair of texts as one sequence that fits.
import type { Sequence } from "../data/packed-batch.js";
import type { TextRow } from "../data/readers/index.js";
import { atOnce, type Steps } from "../text/index.js";
import type { EncodeContext } from "./task.js";

/**
 * Encodes a text, or a pair, cut to the context's longest sequence (the longer text of a pair gives way). Cuts are counted
 * as TEXT_CUT.
 */
export const encodeText = (row: TextRow, context: EncodeContext): Sequence => atOnce(encodeTextSteps(row, context));

/** The same in steps. */
export function* encodeTextSteps({ text, pair, row }: TextRow, context: EncodeContext): Steps<Sequence> {
  const { tokenizer, maxLength } = context;
  function* attempt(truncation: { maxLength: number } | false): Steps<Sequence> {
    if (pair === undefined) return { ids: yield* tokenizer.encodeIdsSteps(text, { truncation }) };
    const { ids, typeIds } = yield* tokenizer.encodeSteps(text, { pair, truncation });
    return { ids, segments: typeIds };
  }
  const whole = yield* attempt(false);
  if (whole.ids.length <= maxLength) return whole;
  context.warnings.add(
    "TEXT_CUT",
    `texts longer than ${maxLength} tokens; what follows was cut off`,
    `row ${row}, of ${whole.ids.length} tokens`,
  );
  return yield* attempt({ maxLength });
}
