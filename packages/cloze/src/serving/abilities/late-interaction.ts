// A vector for each token of a text, projected for late interaction (ColBERT).
import { scope, tensor } from "@cloze/tensor";
import type { LoadedModel } from "../loaded-model.js";
import type { Program } from "../scheduler.js";
import { inGroups } from "./in-groups.js";
import type { TextInput } from "./read-text.js";

export interface LateInteractionAbility {
  /** Length of a token's vector. */
  readonly width: number;
  /** For each text the vectors, of length 1, of its tokens that count. [tokens, width] */
  readonly program: Program<TextInput, Float32Array>;
}

export function lateInteractionAbility(loaded: LoadedModel): LateInteractionAbility | undefined {
  const { tokenEncoder, name } = loaded;
  if (tokenEncoder === undefined) return undefined;
  const encode = async (units: readonly TextInput[], role: TextInput["role"]): Promise<Float32Array[]> => {
    const compiled = loaded.compiled({ outputs: "hidden" });
    const batch = tokenEncoder.packTokens(
      units.map(({ ids }) => ids),
      { role },
    );
    const hidden = await compiled.run(batch);
    return scope(() => tokenEncoder.tokenVectors(tensor(hidden, [batch.ids.length, compiled.width]), batch));
  };
  return {
    width: tokenEncoder.width,
    program: {
      name: `${name} late interaction`,
      // Queries are filled up, documents are not.
      compute: (units) => inGroups(units, ({ role }) => role, encode),
    },
  };
}
