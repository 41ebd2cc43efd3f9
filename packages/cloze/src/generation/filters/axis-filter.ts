// Keeps a text on one side of an axis: every next token is scored with the text before it (MoRT, arXiv 2103.11790).
import { z } from "zod";
import { encoderFolderOf, loadAxis } from "../../embedding/axis/axis-file.js";
import type { Axis } from "../../embedding/axis/index.js";
import { loadEmbedder } from "../../embedding/sentence-transformers.js";
import { emptyCounts } from "../../embedding/text-roles.js";
import { ClozeError } from "../../errors.js";
import { defineFilter } from "./filter.js";

const isAxis = (value: unknown): boolean => typeof value === "object" && value !== null && "score" in value;

/** An axis as it is, or its file with its encoder. */
function openAxis(axis: string | Axis, encoder: string | undefined): { axis: Axis; dispose?(): void } {
  if (typeof axis !== "string") return { axis };
  const embedder = loadEmbedder(encoderFolderOf(axis, encoder));
  try {
    return { axis: loadAxis(axis, embedder), dispose: () => embedder.dispose() };
  } catch (error) {
    embedder.dispose();
    throw error;
  }
}

/**
 * 1 for each score above the threshold; where no more than `keepMin` are, for the `keepMin` best ones instead.
 *
 * @param scores [candidates]
 */
export function aboveThreshold(scores: ArrayLike<number>, threshold: number, keepMin: number): Uint8Array {
  const keep = Uint8Array.from(scores, (score) => Number(score > threshold));
  if (keep.reduce((sum, one) => sum + one, 0) > keepMin) return keep;
  const best = Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
  keep.fill(0);
  for (const place of best.slice(0, keepMin)) keep[place] = 1;
  return keep;
}

export const axisFilter = defineFilter({
  type: "axis-filter",
  description: "tokens with which the text scores above a threshold on an axis",
  options: z.strictObject({
    axis: z
      .union([z.string(), z.custom<Axis>(isAxis)])
      .describe("the file that cloze axis wrote; in the library an axis, too"),
    encoder: z.string().optional().describe("the folder of its encoder (default: the one that the file lies in)"),
    threshold: z.number().or(z.literal(Number.NEGATIVE_INFINITY)).default(0).describe("texts must score above it"),
    keepMin: z.int().min(1).default(5).describe("where no more tokens pass, so many of the best ones do"),
  }),
  create({ axis: given, encoder, threshold, keepMin }) {
    const { axis, dispose } = openAxis(given, encoder);
    return {
      type: "axis-filter",
      keep({ candidates, textWith }) {
        const texts = Array.from(candidates.ids, textWith);
        const counts = emptyCounts();
        const scores = axis.score(texts, { form: "without-question", counts });
        if (counts.truncatedTexts === 0) return aboveThreshold(scores, threshold, keepMin);
        throw new ClozeError("GENERATION_LENGTH", "The text is longer than the axis's encoder reads", {
          expected: "texts of which it sees the last token",
          received: `texts of which it left out ${counts.droppedTokens} tokens`,
          remedy: "Shorten the prompt, ask for fewer tokens, or take an encoder that reads longer texts.",
        });
      },
      dispose,
    };
  },
});
