// Model types: one line for each. The last one can write every model.
import { ClozeError } from "../errors.js";
import { bert } from "./bert.js";
import { cloze } from "./cloze.js";
import type { Family } from "./family.js";

export const families: readonly Family[] = [bert, cloze];

/** The family of a config.json's model type. @throws MODEL_TYPE_UNKNOWN */
export function familyOf(modelType: unknown): Family {
  const found = families.find((family) => family.modelType === modelType);
  if (found !== undefined) return found;
  throw new ClozeError("MODEL_TYPE_UNKNOWN", "Cloze does not know this model type", {
    expected: families.map((family) => family.modelType).join(", "),
    received: JSON.stringify(modelType) ?? "no model_type",
    remedy: "Check config.json; other model types are added in packages/cloze/src/families.",
  });
}
