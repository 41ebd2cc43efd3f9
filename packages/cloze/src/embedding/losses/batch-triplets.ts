// What the losses over all texts of a batch with classes share.
import { type DType, tensor } from "@cloze/tensor";
import { z } from "zod";

const batchDistance = z.enum(["cosine", "euclidean"]).default("euclidean").describe("how far two vectors are");

const batchMargin = z.number().min(0).default(5).describe("by how much the other class shall be further");

/** Options of all of them. */
export const batchTripletOptions = z.strictObject({ distance: batchDistance, margin: batchMargin });

/** 1 where row and column have the same class (and are not the same text), and where their classes differ. [rows, rows] */
export function classMasks(labels: Float32Array) {
  const rows = labels.length;
  const [positive, negative] = [new Float32Array(rows * rows), new Float32Array(rows * rows)];
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < rows; j++) {
      if (labels[i] !== labels[j]) negative[i * rows + j] = 1;
      else if (i !== j) positive[i * rows + j] = 1;
    }
  }
  return { positive, negative };
}

/** A mask as a tensor. */
export const maskTensor = (mask: Float32Array, rows: number, dtype: DType) => tensor(mask, [rows, rows], dtype);
