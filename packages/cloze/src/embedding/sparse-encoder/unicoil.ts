// uniCOIL (Lin and Ma, arXiv 2106.14807): a weight for each token of a text, ReLU(w . h + b); a text's terms are its tokens.
import { reshape, scatterRows, scope, segmentMax, take, tensor } from "@cloze/tensor";
import type { Model } from "../../families/model.js";
import type { EmbedderModule } from "../modules/index.js";
import type { SparseWeighting } from "./weighting.js";

/**
 * One weight for each distinct token of a text, the largest where it occurs again; special tokens have none.
 *
 * @param projection hidden size -> 1, with ReLU
 * @param specialIds tokens that are no terms: [CLS], [SEP]
 */
export function unicoilWeighting(
  model: Model,
  projection: EmbedderModule,
  specialIds: ReadonlySet<number>,
): SparseWeighting {
  const { vocabularySize } = model.encoder.config;
  const weigh: SparseWeighting["weigh"] = (hidden, { ids, offsets }) =>
    scope(() => {
      const sequences = offsets.length - 1;
      // Tokens in groups of one term of one text.
      const places = new Map<number, number[]>();
      for (let s = 0; s < sequences; s++) {
        for (let i = offsets[s]; i < offsets[s + 1]; i++) {
          if (specialIds.has(ids[i])) continue;
          const cell = s * vocabularySize + ids[i];
          const group = places.get(cell);
          if (group === undefined) places.set(cell, [i]);
          else group.push(i);
        }
      }
      const cells = Int32Array.from(places.keys());
      const groups = [...places.values()];
      let end = 0;
      const ends = Int32Array.from([0, ...groups.map(({ length }) => (end += length))]);
      const weights = projection.forward(hidden); // [tokens, 1]
      const best = segmentMax(take(weights, tensor(Int32Array.from(groups.flat()))), tensor(ends)); // [groups, 1]
      return reshape(scatterRows(best, tensor(cells), sequences * vocabularySize), [sequences, vocabularySize]);
    });
  return {
    type: "unicoil",
    parameters: new Map([...projection.parameters].map(([name, value]) => [`projection.${name}`, value])),
    weigh,
    dispose() {
      for (const value of projection.parameters.values()) value.dispose();
    },
  };
}
