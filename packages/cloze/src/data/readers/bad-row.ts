// What becomes of a row that is malformed, or whose values do not fit.
import { ClozeError } from "../../errors.js";
import type { DataWarnings } from "./warnings.js";

/** What such a row does: `error`, or `skip`, which leaves it out and counts a warning. */
export type OnBadRow = "error" | "skip";

/** Counts a row as left out where that is wanted; else its error is thrown, and any error that is about something else. */
export function leaveOut(error: unknown, onBadRow: OnBadRow | undefined, warnings: DataWarnings, place: string): void {
  const ofRow = error instanceof ClozeError && (error.code === "DATA_ROW" || error.code === "DATA_VALUE");
  if (onBadRow !== "skip" || !ofRow) throw error;
  warnings.add("DATA_ROW_SKIPPED", `rows left out; the first: ${error.message}`, place);
}
