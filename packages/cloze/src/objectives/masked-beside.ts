// Options of objectives that predict masked words beside what they ask.
import { z } from "zod";

/** Fields of such an objective's schema. */
export const maskedBeside = {
  rate: z.number().gt(0).lt(1).default(0.15).describe("share of the tokens that are masked beside (0.15)"),
  maskedLanguageWeight: z
    .number()
    .min(0)
    .default(1)
    .describe("what the loss of masked words is multiplied by (1); 0: none"),
};
