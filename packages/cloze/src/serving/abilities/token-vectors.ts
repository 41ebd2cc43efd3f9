// A vector for each token of a text.
import { poolsStates } from "../../embedding/embedder.js";
import { routeFor } from "../../embedding/routed-embedder.js";
import type { LoadedModel } from "../loaded-model.js";
import { packUnits, rowsOf } from "../pack-units.js";
import type { Program } from "../scheduler.js";
import { inGroups } from "./in-groups.js";
import type { TextInput } from "./read-text.js";

export interface TokenVectorsAbility {
  /** The vectors of a unit's tokens, in their order. */
  readonly program: Program<TextInput, readonly Float32Array[]>;
}

export function tokenVectorsAbility(loaded: LoadedModel): TokenVectorsAbility | undefined {
  const { embedder } = loaded;
  // What the pooling takes comes of further modules there.
  if (embedder === undefined || ![embedder, ...(embedder.routes?.embedders.values() ?? [])].every(poolsStates))
    return undefined;
  return {
    program: {
      name: `${loaded.name} embed_all`,
      compute: (units) =>
        inGroups(
          units,
          ({ role }) => routeFor(embedder, role).model,
          async (group, model) => {
            const compiled = loaded.compiled({ outputs: "hidden" }, model);
            const batch = packUnits(group);
            const rows = rowsOf(await compiled.run(batch), compiled.width); // [tokens][hidden]
            return group.map((_, s) => rows.slice(batch.offsets[s], batch.offsets[s + 1]));
          },
        ),
    },
  };
}
