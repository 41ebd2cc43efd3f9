import { ClozeError } from "../errors.js";
import type { Model } from "../families/index.js";

/** @throws SEQUENCE_TOO_LONG when sequences may be longer than the model's positions */
export function checkMaxLength(maxLength: number, { encoder }: Model): void {
  const { maxPositions } = encoder.config;
  if (maxLength <= maxPositions) return;
  throw new ClozeError("SEQUENCE_TOO_LONG", "Sequences may be longer than the model's positions", {
    expected: `at most ${maxPositions} tokens`,
    received: String(maxLength),
    remedy: `Give --max-length ${maxPositions} or less.`,
  });
}
