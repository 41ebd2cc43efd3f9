// One vector for each text.
import { noGrad, scope, type Tensor, tensor } from "@cloze/tensor";
import { poolsStates } from "../../embedding/embedder.js";
import { routeFor } from "../../embedding/routed-embedder.js";
import type { LoadedModel } from "../loaded-model.js";
import { packUnits, rowsOf } from "../pack-units.js";
import type { Program } from "../scheduler.js";
import { inGroups } from "./in-groups.js";
import type { TextInput } from "./read-text.js";

export interface DenseAbility {
  /** Length of a vector. */
  readonly width: number;
  /** Vectors, not normalised. */
  readonly program: Program<TextInput, Float32Array>;
}

export function denseAbility(loaded: LoadedModel): DenseAbility | undefined {
  const { embedder, name } = loaded;
  if (embedder === undefined) return undefined;
  const { width } = embedder;
  const finish = (make: () => Tensor): Float32Array[] =>
    rowsOf(
      scope(() => noGrad(() => make().toTypedArray() as Float32Array)),
      width,
    );
  const embedGroup = async (units: readonly TextInput[], promptTokens: number, alone = false) => {
    const batch = packUnits(units);
    const { role } = units[0];
    const read = routeFor(embedder, role);
    const { model, modules, options } = read;
    // Poolings that plans know; the others start from the vectors of tokens, as texts without any do.
    const planned = options.pooling === "mean" ? "mean" : options.pooling === "cls" ? "first" : undefined;
    const filled = units.every(({ ids }) => ids.length > 0);
    if (planned !== undefined && poolsStates(read) && promptTokens === 0 && filled && embedder.routes === undefined) {
      const compiled = loaded.compiled({ outputs: "pooled", pooling: planned });
      const pooled = await compiled.run(batch, { alone });
      if (modules.length === 0) return rowsOf(pooled, width);
      return finish(() =>
        modules.reduce((x, module) => module.forward(x), tensor(pooled, [units.length, compiled.width])),
      );
    }
    const compiled = loaded.compiled({ outputs: "hidden" }, model);
    const hidden = await compiled.run(batch, { alone });
    return finish(() =>
      embedder.poolTokens(tensor(hidden, [batch.ids.length, compiled.width]), { ...batch, promptTokens, role }),
    );
  };
  return {
    width,
    program: {
      name: `${name} embed`,
      // Roles may have encoders of their own; a prompt's tokens do not count in the pooling.
      compute: (units, alone) =>
        inGroups(
          units,
          ({ role }) => (embedder.routes === undefined ? undefined : routeFor(embedder, role)),
          (ofRoute) =>
            inGroups(
              ofRoute,
              ({ promptTokens }) => promptTokens,
              (group, promptTokens) => embedGroup(group, promptTokens, alone),
            ),
        ),
    },
  };
}

/** Scales a vector to length 1; one of zeros stays. */
export function normalized(vector: Float32Array): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.sqrt(squares);
  return length === 0 ? vector : vector.map((value) => value / length);
}
