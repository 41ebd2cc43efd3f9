// Convolutions over the tokens of each sequence, in a plan.
import { checkShape, formatShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import type { PlanBuilder, PlanColumns, PlanOperand, PlanValue } from "./contract.js";

/** What the taps of a convolution are multiplied with. */
export type PlanTaps =
  /** Each column has taps of its own. [taps, width] */
  | { readonly ofColumns: Tensor }
  /** Each head, which is width / heads columns, has. [heads, taps] */
  | { readonly ofHeads: Tensor }
  /** Each token and head has: rows of heads x taps. */
  | { readonly ofTokens: PlanValue; readonly heads: number };

export interface PlanConvolutionOptions {
  readonly taps: number;
  /** Taps that stand before the token itself. Default floor((taps - 1) / 2). */
  readonly before?: number;
  /** Columns that a tap reads, and that come out. Default: all. */
  readonly width?: number;
  /** From the columns of one tap to those of the next. Default 0: all taps read the same. */
  readonly tapColumns?: number;
  /** Default: all are 1. */
  readonly weights?: PlanTaps;
  /** Columns of another value that the result is written to. Default: rows of its own. */
  readonly into?: PlanColumns;
}

/** Kernels get addresses: what does not fit is refused while the plan is written. */
function checkColumns({ of, from }: PlanColumns, width: number, what: string): void {
  const fits = of.per === "token" && Number.isInteger(from) && from >= 0 && from + width <= of.width;
  const expected = `${width} columns of each token ${what}`;
  checkShape(fits, "planConvolution", expected, `${of.width} of each ${of.per}, from column ${from} on`);
}

function checkTaps(weights: PlanTaps, taps: number, width: number): void {
  const check = (fits: boolean, expected: string, received: string) =>
    checkShape(fits, "planConvolution", expected, received);
  if ("ofColumns" in weights) {
    const { rank, shape } = weights.ofColumns;
    check(rank === 2 && shape[0] === taps && shape[1] === width, `taps [${taps}, ${width}]`, formatShape(shape));
    return;
  }
  if ("ofHeads" in weights) {
    const { rank, shape } = weights.ofHeads;
    check(rank === 2 && shape[1] === taps, `taps of heads [heads, ${taps}]`, formatShape(shape));
  } else {
    const { ofTokens, heads } = weights;
    const fits = ofTokens.per === "token" && ofTokens.width === heads * taps;
    check(fits, `${heads} x ${taps} taps of each token`, `${ofTokens.width} of each ${ofTokens.per}`);
  }
  const heads = "ofHeads" in weights ? weights.ofHeads.shape[0] : weights.heads;
  check(heads >= 1 && width % heads === 0, `heads that divide ${width} columns`, String(heads));
}

/** What the kernel is told of weights: where they lie, the heads, and from a token, a head and a tap to the next. */
function layoutOf(weights: PlanTaps | undefined, taps: number, width: number, builder: PlanBuilder) {
  const layout = (of: PlanOperand, ...numbers: [heads: number, row: number, head: number, tap: number]) =>
    [of, numbers] as const;
  if (weights === undefined) return layout(null, width, 0, 0, 0);
  if ("ofColumns" in weights) return layout(builder.constant(weights.ofColumns), width, 0, 1, width);
  if ("ofHeads" in weights) return layout(builder.constant(weights.ofHeads), weights.ofHeads.shape[0], 0, taps, 1);
  const { ofTokens, heads } = weights;
  return layout(ofTokens, heads, ofTokens.width, taps, 1);
}

/**
 * y[t, c] = the sum over taps j of weight(t, c, j) x[t + j - before, j tapColumns + c], with zeros beyond the sequence.
 *
 * @returns rows of `width`, or the value that `into` names
 * @throws SHAPE_MISMATCH where columns or weights do not fit
 * @example
 * const y = planConvolution({ of: x, from: 0 }, { taps: 9, weights: { ofColumns: kernel } }, builder);
 */
export function planConvolution(
  x: PlanColumns,
  { taps, before, width = x.of.width - x.from, tapColumns = 0, weights, into }: PlanConvolutionOptions,
  builder: PlanBuilder,
): PlanValue {
  const counts = [taps, width].every((count) => Number.isInteger(count) && count >= 1);
  checkShape(counts, "planConvolution", "at least 1 tap and 1 column", `${taps} taps, ${width} columns`);
  checkColumns(x, (taps - 1) * tapColumns + width, "to read");
  if (into !== undefined) checkColumns(into, width, "to write");
  if (weights !== undefined) checkTaps(weights, taps, width);
  const target = into ?? { of: builder.value(width), from: 0 };
  const [values, [heads, row, head, tap]] = layoutOf(weights, taps, width, builder);
  const byToken = weights !== undefined && "ofTokens" in weights ? weights.ofTokens : undefined;
  const { offsets } = builder.inputs;
  const sizes = [width, taps, before ?? Math.floor((taps - 1) / 2), x.of.width, tapColumns, target.of.width];
  builder.call(
    "convolveTokensF32",
    [x, values, target, offsets, "sequences", "tokens", ...sizes, heads, row, head, tap],
    { reads: [x.of, byToken, offsets], writes: [target.of] },
  );
  return target.of;
}
