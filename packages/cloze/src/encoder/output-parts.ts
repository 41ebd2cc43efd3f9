import { slice, type Tensor, take, tensor } from "@cloze/tensor";
import type { OutputPart } from "./part.js";

/** Rows of a tensor; all where none are named. */
export const rowsOf = (x: Tensor, rows?: Int32Array): Tensor => (rows === undefined ? x : take(x, tensor(rows)));

/** Parts cut out of a whole product: the plain twin of `SlotAccess.linearParts`. whole: [tokens, outputs] */
export const cutParts = (whole: Tensor, parts: readonly OutputPart[]): Tensor[] =>
  parts.map(({ start, end, rows }) => rowsOf(slice(whole, [{}, { start, end }]), rows));
