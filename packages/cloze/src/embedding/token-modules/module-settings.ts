import { z } from "zod";
import { ClozeError } from "../../errors.js";

/** A module's settings as its schema says. @throws EMBEDDER_FILE */
export function settingsOf<T>(type: string, config: unknown, schema: z.ZodType<T>): T {
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  throw new ClozeError("EMBEDDER_FILE", `The settings of a module ${type} are not what sentence-transformers writes`, {
    received: z.prettifyError(result.error),
  });
}

/** @throws EMBEDDER_FILE where a module takes vectors of another length than stand before it */
export function checkWidth(type: string, wanted: number, width: number): void {
  if (wanted === width) return;
  throw new ClozeError("EMBEDDER_FILE", `A module ${type} does not fit what stands before it`, {
    expected: `vectors of ${width} numbers`,
    received: String(wanted),
  });
}
