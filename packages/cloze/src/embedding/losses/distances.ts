// How far vectors are from each other, row by row and all against all.
import {
  abs,
  add,
  equal,
  matmul,
  mul,
  relu,
  reshape,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  transpose,
} from "@cloze/tensor";
import { z } from "zod";
import { normalizeRows } from "../../objectives/contrastive.js";

export type Distance = "cosine" | "euclidean" | "manhattan";

export const distanceOption = (fallback: Distance) =>
  z.enum(["cosine", "euclidean", "manhattan"]).default(fallback).describe("how far two vectors are");

/** Square root whose gradient at 0 is 0. */
export function safeSqrt(x: Tensor): Tensor {
  const zero = equal(x, 0);
  return mul(sqrt(add(x, zero)), sub(1, zero));
}

/** Cosine of each row of `a` with the same row of `b`. -> [rows] */
export const rowCosine = (a: Tensor, b: Tensor): Tensor => sum(mul(normalizeRows(a), normalizeRows(b)), [1]);

/** Inner product of each row of `a` with the same row of `b`. -> [rows] */
export const rowDot = (a: Tensor, b: Tensor): Tensor => sum(mul(a, b), [1]);

/** Cosine of each row of `a` with each of `b`. -> [rows of a, rows of b] */
export const cosineMatrix = (a: Tensor, b: Tensor): Tensor => matmul(normalizeRows(a), transpose(normalizeRows(b)));

const rowDistances: Record<Distance, (a: Tensor, b: Tensor) => Tensor> = {
  cosine: (a, b) => sub(1, rowCosine(a, b)),
  euclidean: (a, b) => safeSqrt(sum(square(sub(a, b)), [1])),
  manhattan: (a, b) => sum(abs(sub(a, b)), [1]),
};

/** Distance of each row of `a` from the same row of `b`. -> [rows] */
export const rowDistance = (distance: Distance, a: Tensor, b: Tensor): Tensor => rowDistances[distance](a, b);

/** Distances of all rows from each other. x: [rows, width] -> [rows, rows] */
export function allDistances(distance: "cosine" | "euclidean", x: Tensor): Tensor {
  if (distance === "cosine") return sub(1, cosineMatrix(x, x));
  const rows = x.shape[0];
  const squares = sum(square(x), [1]); // [rows]
  const products = mul(matmul(x, transpose(x)), -2);
  return safeSqrt(relu(add(add(products, reshape(squares, [rows, 1])), reshape(squares, [1, rows]))));
}
