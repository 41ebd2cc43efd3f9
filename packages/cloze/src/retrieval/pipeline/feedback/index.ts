// Ways to expand queries by the documents that they find first, by name. A new one is a file and a line here.
import { parseConfig } from "../../../encoder/registry.js";
import { ClozeError } from "../../../errors.js";
import { ceqe } from "./ceqe.js";
import type { FeedbackEncoder, FeedbackExpansion, FeedbackExpansionKind } from "./feedback-expansion.js";
import { rm3 } from "./rm3.js";

export type { FeedbackEncoder, FeedbackExpansion, FeedbackExpansionKind, FoundText } from "./feedback-expansion.js";
export { searchTwice } from "./feedback-expansion.js";

export const feedbackExpansions: readonly FeedbackExpansionKind[] = [rm3, ceqe];

/** A way by its name. @throws EXPANSION_UNKNOWN */
export function feedbackExpansionKind(type: string): FeedbackExpansionKind {
  const found = feedbackExpansions.find((kind) => kind.type === type);
  if (found !== undefined) return found;
  throw new ClozeError("EXPANSION_UNKNOWN", `No expansion of queries is called "${type}"`, {
    expected: feedbackExpansions.map((kind) => kind.type).join(", "),
    received: type,
  });
}

/**
 * Makes a way to expand queries ready.
 *
 * @param config its type and its options
 * @param encoder whose states are compared, where the way compares states
 * @throws EXPANSION_UNKNOWN, EXPANSION_OPTIONS, EXPANSION_ENCODER
 * @example
 * const expansion = createFeedbackExpansion({ type: "rm3", feedbackTerms: 20 });
 */
export function createFeedbackExpansion(
  { type, ...settings }: { readonly type: string } & Readonly<Record<string, unknown>>,
  encoder?: FeedbackEncoder,
): FeedbackExpansion {
  const kind = feedbackExpansionKind(type);
  if (kind.needsEncoder && encoder === undefined) {
    throw new ClozeError("EXPANSION_ENCODER", `The expansion ${type} compares the states of an encoder`, {
      expected: "a model and its tokenizer",
      received: "none",
    });
  }
  return kind.create(
    parseConfig(kind.options, settings, `The expansion ${type}`, "EXPANSION_OPTIONS") as Record<string, unknown>,
    encoder,
  );
}
