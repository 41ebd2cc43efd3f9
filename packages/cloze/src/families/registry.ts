// Model types: one line for each. The last one can write every model.
import { ClozeError } from "../errors.js";
import { albert } from "./albert.js";
import { bert } from "./bert.js";
import { bigBird } from "./big-bird.js";
import { cloze } from "./cloze.js";
import { convbert } from "./convbert.js";
import { deberta } from "./deberta.js";
import { debertaV2 } from "./deberta-v2.js";
import { distilbert } from "./distilbert.js";
import { electra } from "./electra.js";
import { ernie } from "./ernie.js";
import type { Family } from "./family.js";
import { fnet } from "./fnet.js";
import { gpt2 } from "./gpt2.js";
import { longformer } from "./longformer.js";
import { modernbert } from "./modernbert.js";
import { mpnet } from "./mpnet.js";
import { nystromformer } from "./nystromformer.js";
import { camembert, roberta, xlmRoberta } from "./roberta.js";
import { roformer } from "./roformer.js";
import { vit } from "./vit.js";

export const families: readonly Family[] = [
  bert,
  roberta,
  xlmRoberta,
  camembert,
  distilbert,
  albert,
  electra,
  ernie,
  gpt2,
  modernbert,
  roformer,
  mpnet,
  deberta,
  debertaV2,
  longformer,
  bigBird,
  fnet,
  vit,
  convbert,
  nystromformer,
  cloze,
];

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
