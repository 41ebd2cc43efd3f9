// A vector for each token of a text, projected for late interaction (ColBERT).
import { noGrad, scope, type Tensor, tensor } from "@cloze/tensor";
import { normalizeRows } from "../../objectives/contrastive.js";
import type { LoadedModel } from "../loaded-model.js";
import type { Program } from "../scheduler.js";
import type { TextInput } from "./read-text.js";

export interface LateInteractionAbility {
  /** Length of a token's vector. */
  readonly width: number;
  /** For each text the vectors, of length 1, of its tokens that count. [tokens, width] */
  readonly program: Program<TextInput, Float32Array>;
}

/** Texts of one role, as {@link LateInteractionAbility} gives them. */
type Encode = (units: readonly TextInput[]) => Promise<Float32Array[]>;

export function lateInteractionAbility(loaded: LoadedModel): LateInteractionAbility | undefined {
  const { tokenEncoder, name } = loaded;
  if (tokenEncoder === undefined) return undefined;
  const { width } = tokenEncoder;
  const encode: Encode = async (units) => {
    const compiled = loaded.compiled({ outputs: "hidden" });
    const batch = tokenEncoder.packTokens(
      units.map(({ ids }) => ids),
      { role: units[0].role },
    );
    const hidden = await compiled.run(batch);
    const project = (): Tensor =>
      normalizeRows(tokenEncoder.poolTokens(tensor(hidden, [batch.ids.length, compiled.width]), batch));
    const rows = scope(() => noGrad(() => project().toTypedArray() as Float32Array));
    const offsets = tokenEncoder.rowOffsets?.(batch) ?? batch.offsets;
    return units.map((_, s) => rows.slice(offsets[s] * width, offsets[s + 1] * width));
  };
  return {
    width,
    program: {
      name: `${name} late interaction`,
      async compute(units) {
        const results: Float32Array[] = new Array(units.length);
        // Queries are filled up, documents are not.
        for (const role of new Set(units.map((unit) => unit.role))) {
          const places = Array.from(units.keys()).filter((i) => units[i].role === role);
          const found = await encode(places.map((i) => units[i]));
          places.forEach((i, row) => {
            results[i] = found[row];
          });
        }
        return results;
      },
    },
  };
}
