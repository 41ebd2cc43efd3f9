import type { Tensor } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";

/** A module's settings as its schema says. @throws EMBEDDER_FILE */
export function settingsOf<T>(type: string, config: unknown, schema: z.ZodType<T>): T {
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  throw new ClozeError("EMBEDDER_FILE", `The settings of a module ${type} are not what sentence-transformers writes`, {
    received: z.prettifyError(result.error),
    remedy: "Save the model anew with sentence-transformers, or mend the file that holds them.",
  });
}

/**
 * Holds a module against what stands before it.
 *
 * @param names of the setting that says the length of the vectors it takes; sentence-transformers 6 renamed them
 * @throws EMBEDDER_FILE where it takes vectors of another length, or says none
 */
export function checkWidth(
  type: string,
  settings: Readonly<Record<string, unknown>>,
  names: readonly [now: string, before: string],
  width: number,
): void {
  const wanted = names.map((name) => settings[name]).find((value) => value !== undefined);
  if (wanted === width) return;
  throw new ClozeError("EMBEDDER_FILE", `A module ${type} does not fit what stands before it`, {
    expected: `vectors of ${width} numbers`,
    received: wanted === undefined ? `no ${names[0]}` : String(wanted),
    remedy: "Check the order of modules.json, and that all its folders are of the same model.",
  });
}

/**
 * A module's weights, to be trained, in the order of their names. Where one is missing or of another shape, those before it are
 * freed.
 *
 * @param shapes by the names of its file
 * @throws EMBEDDER_FILE, and what `weight` throws for one that is missing
 */
export function loadWeights(
  type: string,
  shapes: ReadonlyMap<string, readonly number[]>,
  weight: (name: string) => Tensor,
): Map<string, Tensor> {
  const weights = new Map<string, Tensor>();
  try {
    for (const [name, shape] of shapes) {
      const value = weight(name).keep("weights").requireGrad();
      weights.set(name, value);
      if (String(value.shape) === String(shape)) continue;
      throw new ClozeError("EMBEDDER_FILE", `The weight ${name} of a module ${type} does not fit its settings`, {
        expected: `[${shape.join(", ")}]`,
        received: `[${value.shape.join(", ")}]`,
        remedy: "Check that model.safetensors and the file of settings are of the same module.",
      });
    }
    return weights;
  } catch (error) {
    for (const value of weights.values()) value.dispose();
    throw error;
  }
}
