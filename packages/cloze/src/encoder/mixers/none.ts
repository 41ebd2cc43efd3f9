import { z } from "zod";
import { defineSlot } from "../part.js";

/** No mixer: the layer has no such branch. */
export const none = defineSlot({
  schema: z.strictObject({ type: z.literal("none") }),
  bind: () => ({ matrices: [], absent: true, hides: true, forward: (x) => x }),
});
