// A vector for each token of a text.
import type { SequenceUnit } from "../encode-input.js";
import type { LoadedModel } from "../loaded-model.js";
import { packUnits, rowsOf } from "../pack-units.js";
import type { Program } from "../scheduler.js";

export interface TokenVectorsAbility {
  /** The vectors of a unit's tokens, in their order. */
  readonly program: Program<SequenceUnit, readonly Float32Array[]>;
}

export function tokenVectorsAbility(loaded: LoadedModel): TokenVectorsAbility | undefined {
  if (loaded.embedder === undefined) return undefined;
  return {
    program: {
      name: `${loaded.name} embed_all`,
      async compute(units) {
        const compiled = loaded.compiled({ outputs: "hidden" });
        const batch = packUnits(units);
        const rows = rowsOf(await compiled.run(batch), compiled.width); // [tokens][hidden]
        return units.map((_, s) => rows.slice(batch.offsets[s], batch.offsets[s + 1]));
      },
    },
  };
}
