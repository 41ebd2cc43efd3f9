import { matrixSize } from "../encoder/flops.js";
import type { ObjectiveModel } from "./objective.js";

/** Multiplications and additions of the head of a model for so many rows, forwards. */
export function headFlops({ head, encoder }: Pick<ObjectiveModel, "head" | "encoder">, rows: number): number {
  const tied = "tied" in head.config && head.config.tied;
  const table = tied ? encoder.parameters.get("embeddings.word.weight") : undefined;
  return 2 * rows * (matrixSize([...head.parameters.values()]) + (table === undefined ? 0 : matrixSize([table])));
}
