// Fourier transforms over the tokens and the columns of each sequence, in a plan.
import { scope } from "../memory.js";
import { fourierTables } from "../ops/fourier.js";
import { checkShape } from "../shape.js";
import { type Tensor, tensor } from "../tensor.js";
import type { PlanBuilder, PlanValue } from "./contract.js";

/** The tables of every length that a plan may meet, as native/kernels/fourier.h reads them. */
function tablesOf(width: number, longest: number): { lengths: Tensor; tables: Tensor } {
  const all = Array.from({ length: longest + 1 }, (_, n) => fourierTables(n === 0 ? width : n));
  const lengths: number[] = [];
  let [floats, integers] = [0, 5 * all.length];
  for (const { size, roots, chirp, factors } of all) {
    lengths.push(size, floats, chirp === null ? -1 : floats + roots.length, factors.length, integers);
    floats += roots.length + (chirp?.length ?? 0);
    integers += factors.length;
  }
  const tables = new Float32Array(floats);
  all.forEach(({ roots, chirp }, n) => {
    tables.set(roots, lengths[5 * n + 1]);
    if (chirp !== null) tables.set(chirp, lengths[5 * n + 2]);
  });
  return {
    lengths: tensor(Int32Array.from([...lengths, ...all.flatMap(({ factors }) => [...factors])])),
    tables: tensor(tables),
  };
}

/**
 * y[m, k] = the real part of the sum over n and j of x[n, j] exp(-2 pi i (m n / length + k j / width)), for each sequence.
 * Tables are made for each length up to `longest`, once for all layers of that width; the plan takes no longer sequences.
 *
 * @throws SHAPE_MISMATCH where x has no rows of tokens, or `longest` is no number of them
 */
export function planFourierMix(x: PlanValue, longest: number, builder: PlanBuilder): PlanValue {
  const { width, per } = x;
  const received = `rows of each ${per}, longest ${longest}`;
  checkShape(
    per === "token" && Number.isInteger(longest) && longest >= 1,
    "planFourierMix",
    "rows of tokens, a length of at least 1",
    received,
  );
  const { offsets } = builder.inputs;
  const { lengths, tables } = builder.once(`fourier ${width} ${longest}`, () =>
    scope(() => {
      const made = tablesOf(width, longest);
      return { lengths: builder.constant(made.lengths), tables: builder.constant(made.tables) };
    }),
  );
  const half = Math.floor(width / 2) + 1;
  const [re, im, y] = [builder.value(half), builder.value(half), builder.value(width)];
  builder.call("fourierMixF32", [x, re, im, y, offsets, "sequences", "tokens", width, lengths, tables], {
    reads: [x, offsets],
    writes: [re, im, y],
  });
  builder.limit(longest);
  return y;
}
