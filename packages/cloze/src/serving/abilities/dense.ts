// One vector for each text.
import { noGrad, scope } from "@cloze/tensor";
import type { SequenceUnit } from "../encode-input.js";
import type { LoadedModel } from "../loaded-model.js";
import { packUnits, rowsOf } from "../pack-units.js";
import type { Program } from "../scheduler.js";

export interface DenseAbility {
  /** Length of a vector. */
  readonly width: number;
  /** Pooled vectors, not normalised. */
  readonly program: Program<SequenceUnit, Float32Array>;
}

/** Poolings that plans know. */
const planned: Readonly<Record<string, "mean" | "first" | undefined>> = { mean: "mean", cls: "first" };

export function denseAbility(loaded: LoadedModel): DenseAbility | undefined {
  const { embedder, name } = loaded;
  if (embedder === undefined) return undefined;
  const { width } = embedder;
  const pooling = planned[embedder.options.pooling];
  const compiled = pooling === undefined ? undefined : loaded.compiled({ output: "pooled", pooling });
  return {
    width,
    program: {
      name: `${name} embed`,
      async compute(units) {
        const batch = packUnits(units);
        if (compiled !== undefined) return rowsOf(await compiled.run(batch), width);
        return rowsOf(
          scope(() => noGrad(() => embedder.embedBatch(batch).toTypedArray() as Float32Array)),
          width,
        );
      },
    },
  };
}

/** Scales a vector to length 1; one of zeros stays. */
export function normalized(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? vector : vector.map((value) => value / length);
}
