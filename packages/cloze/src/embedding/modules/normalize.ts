import { z } from "zod";
import { normalizeRows } from "../../objectives/contrastive.js";
import type { EmbedderModule, EmbedderModuleKind } from "./module.js";

/** Scales vectors to length 1, in the middle of an embedder (at its end: the option `normalize`). */
export const createNormalize = (width: number): EmbedderModule => ({
  type: "Normalize",
  width,
  parameters: new Map(),
  forward: normalizeRows,
  config: () => ({}),
});

export const normalize: EmbedderModuleKind = {
  type: "Normalize",
  path: "models.Normalize",
  load(config, width) {
    z.looseObject({ module_input_name: z.literal("sentence_embedding").optional() }).parse(config);
    return createNormalize(width);
  },
};
