import { z } from "zod";
import { defineSlot, insideToken } from "../part.js";

/** No mixer: the layer has no such branch. */
export const none = defineSlot({
  schema: z.strictObject({ type: z.literal("none") }),
  bind: () => ({ matrices: [], absent: true, hides: true, ...insideToken, forward: (x) => x }),
});
