// With CLOZE_DEBUG=1 the first operation whose result is not a number stops the program.
import { ClozeError } from "./errors.js";
import { formatShape } from "./shape.js";
import type { Tensor } from "./tensor.js";

/** Position of the first NaN, or -1. */
function firstNaN(tensor: Tensor | undefined): number {
  if (tensor === undefined || !tensor.dtype.startsWith("float")) return -1;
  return (tensor.toTypedArray() as Float32Array).findIndex(Number.isNaN);
}

let around = "";

/** Names what the operations of a function are part of. */
export function within<T>(what: string, body: () => T): T {
  const before = around;
  around = ` (in ${what})`;
  try {
    return body();
  } finally {
    around = before;
  }
}

/**
 * Throws when an operation made a NaN.
 *
 * @throws NOT_A_NUMBER with the operation, the place, and whether a NaN came in
 */
export function checkNumbers(
  operation: string,
  inputs: readonly (Tensor | undefined)[],
  outputs: readonly (Tensor | undefined)[],
): void {
  outputs.forEach((output, i) => {
    const place = firstNaN(output);
    if (output === undefined || place < 0) return;
    const guilty = inputs.findIndex((input) => firstNaN(input) >= 0);
    throw new ClozeError(
      "NOT_A_NUMBER",
      `${operation}${around} gave a NaN at element ${place} of ${formatShape(output.shape)}`,
      {
        received: outputs.length > 1 ? `a NaN in result ${i}` : undefined,
        remedy: guilty < 0 ? "No input holds one: it was made here." : `Input ${guilty} holds one already.`,
      },
    );
  });
}
