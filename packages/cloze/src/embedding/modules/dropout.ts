import { z } from "zod";
import type { EmbedderModuleKind } from "./module.js";

/** Kept so that the folder is written back as it was; vectors pass through it as they are, in training too. */
export const dropout: EmbedderModuleKind = {
  type: "Dropout",
  path: "models.Dropout",
  load(config, width) {
    const { dropout: rate } = z.looseObject({ dropout: z.number().default(0.2) }).parse(config);
    return { type: "Dropout", width, parameters: new Map(), forward: (x) => x, config: () => ({ dropout: rate }) };
  },
};
