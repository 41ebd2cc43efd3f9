// LSTM and GRU over the sequences of a packed batch, all sequences one step at a time.
import { backend } from "../backend/index.js";
import { ClozeError } from "../errors.js";
import { type BackwardContext, isComposing, record, wantsGrad } from "../graph.js";
import { checkShape, formatShape } from "../shape.js";
import { empty, type Tensor, tensor, zeros } from "../tensor.js";
import { add, mul, sigmoid, sub, tanh } from "./elementwise.js";
import { biasGradient } from "./linear.js";
import { matmul, operand, product } from "./matmul.js";
import { concat, contiguous, permute, slice } from "./movement.js";
import { take } from "./rows.js";
import { checkOffsets } from "./segment.js";

export interface RecurrentOptions {
  /** Added to the recurrent products (PyTorch's `bias_hh`): [directions x gates x units]. Default none. */
  bias?: Tensor;
  /**
   * "forward" (default): from a sequence's first token to its last. "backward": from the last to the first. "both": the
   * weight and `projected` hold the forward direction's gates, then the backward one's.
   */
  direction?: "forward" | "backward" | "both";
}

type Cell = "lstm" | "gru";
const gateCount = { lstm: 4, gru: 3 } as const;

/** Which rows move at which step; see native/kernels/recurrent.h. */
interface Schedule {
  /** [directions, tokens] */
  readonly rows: Int32Array;
  /** [steps + 1] */
  readonly starts: Int32Array;
}

function scheduleOf(ends: Int32Array, direction: "forward" | "backward" | "both"): Schedule {
  const sequences = Array.from({ length: ends.length - 1 }, (_, s) => ({
    start: ends[s],
    length: ends[s + 1] - ends[s],
  }))
    .filter(({ length }) => length > 0)
    .sort((a, b) => b.length - a.length);
  const tokens = ends[ends.length - 1];
  const ways = direction === "both" ? (["forward", "backward"] as const) : [direction];
  const rows = new Int32Array(ways.length * tokens);
  const starts = new Int32Array((sequences[0]?.length ?? 0) + 1);
  ways.forEach((way, d) => {
    let at = 0;
    for (let t = 0; t + 1 < starts.length; t++) {
      for (const { start, length } of sequences) {
        if (length <= t) break;
        rows[d * tokens + at++] = way === "forward" ? start + t : start + length - 1 - t;
      }
      starts[t + 1] = at;
    }
  });
  return { rows, starts };
}

interface Sizes {
  readonly tokens: number;
  readonly units: number;
  readonly directions: number;
  readonly gates: number;
}

/** One step's new state (and cell), from what comes in, h W + b, and the state before. All [alive, ...]. */
type Step = (given: Tensor, own: Tensor, before: readonly Tensor[], units: number) => Tensor[];

const gate = (x: Tensor, which: number, units: number): Tensor =>
  slice(x, [{}, { start: which * units, end: (which + 1) * units }]);

const steps: Record<Cell, Step> = {
  lstm(given, own, [, cell], units) {
    const sums = add(given, own);
    const [i, f, o] = [0, 1, 3].map((which) => sigmoid(gate(sums, which, units)));
    const c = add(mul(f, cell), mul(i, tanh(gate(sums, 2, units))));
    return [mul(o, tanh(c)), c];
  },
  gru(given, own, [hidden], units) {
    const [r, z] = [0, 1].map((which) => sigmoid(add(gate(given, which, units), gate(own, which, units))));
    const n = tanh(add(gate(given, 2, units), mul(r, gate(own, 2, units))));
    return [add(n, mul(z, sub(hidden, n)))];
  },
};

/** The definition, direction by direction and step by step. */
function composedRecurrence(
  cell: Cell,
  projected: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  { rows, starts }: Schedule,
  { tokens, units, directions, gates }: Sizes,
): Tensor {
  const width = gates * units;
  const ways = Array.from({ length: directions }, (_, d) => {
    const range = { start: d * width, end: (d + 1) * width };
    const matrix = permute(slice(weight, [range]), [1, 0]);
    const shift = bias === undefined ? zeros([width], projected.dtype) : slice(bias, [range]);
    const input = slice(projected, [{}, range]);
    const outputs: Tensor[] = [];
    let state = [zeros([starts[1], units], projected.dtype), zeros([starts[1], units], projected.dtype)];
    for (let t = 0; t + 1 < starts.length; t++) {
      const moving = rows.slice(d * tokens + starts[t], d * tokens + starts[t + 1]);
      const before = state.map((x) => slice(x, [{ end: moving.length }]));
      const own = add(matmul(before[0], matrix), shift);
      state = steps[cell](take(input, tensor(moving)), own, before, units);
      outputs.push(state[0]);
    }
    const order = new Int32Array(tokens);
    rows.subarray(d * tokens, (d + 1) * tokens).forEach((row, place) => {
      order[row] = place;
    });
    return take(concat(outputs, 0), tensor(order));
  });
  return ways.length === 1 ? ways[0] : concat(ways, 1);
}

/** The gradient of W, block by block of directions: g^T h, into the leaf's own buffer where possible. */
function weightGradient(g: Tensor, previous: Tensor, { units, directions, gates }: Sizes, context: BackwardContext) {
  const leaf = context.leafGradient(1);
  const width = gates * units;
  const into = leaf?.tensor ?? empty([directions * width, units], g.dtype);
  for (let d = 0; d < directions; d++) {
    const transposed = g.view([width, g.shape[0]], [1, g.shape[1]], g.offset + d * width);
    const hidden = previous.view([g.shape[0], units], [directions * units, 1], previous.offset + d * units);
    const block = into.view([width, units], undefined, into.offset + d * width * units);
    product(operand(transposed, []), hidden, block, leaf === undefined || leaf.fresh ? 0 : 1);
  }
  if (leaf === undefined) return into;
  leaf.leaf.touchedRows = undefined;
  return undefined;
}

/** Checks the arguments of `name` and says what they amount to. */
function sizesOf(cell: Cell, projected: Tensor, weight: Tensor, { bias, direction }: RecurrentOptions): Sizes {
  const gates = gateCount[cell];
  const directions = direction === "both" ? 2 : 1;
  const lines = directions * gates;
  checkShape(
    weight.rank === 2 && weight.shape[1] > 0 && weight.shape[0] === lines * weight.shape[1],
    cell,
    `a recurrent weight [${lines} x units, units]`,
    formatShape(weight.shape),
  );
  const units = weight.shape[1];
  checkShape(
    projected.rank === 2 && projected.shape[1] === lines * units,
    cell,
    `projected inputs [tokens, ${lines * units}]`,
    formatShape(projected.shape),
  );
  checkShape(
    bias === undefined || (bias.rank === 1 && bias.size === lines * units),
    cell,
    `a bias [${lines * units}]`,
    formatShape(bias?.shape ?? []),
  );
  return { tokens: projected.shape[0], units, directions, gates };
}

function recurrence(cell: Cell, projected: Tensor, weight: Tensor, offsets: Tensor, options: RecurrentOptions): Tensor {
  const { direction = "forward" } = options;
  if (!["forward", "backward", "both"].includes(direction)) {
    throw new ClozeError("INVALID_OPTION", `${cell}: there is no such direction`, {
      expected: '"forward", "backward" or "both"',
      received: JSON.stringify(direction),
    });
  }
  const sizes = sizesOf(cell, projected, weight, options);
  const { tokens, units, directions, gates } = sizes;
  const schedule = scheduleOf(checkOffsets(cell, offsets, tokens), direction);
  const { rows, starts } = schedule;
  if (isComposing()) {
    if (tokens === 0) return contiguous(slice(projected, [{}, { end: directions * units }]));
    return composedRecurrence(cell, projected, weight, options.bias, schedule, sizes);
  }
  const given = contiguous(projected);
  const matrix = contiguous(weight);
  const shift = options.bias && contiguous(options.bias);
  const inputs = shift === undefined ? [given, matrix] : [given, matrix, shift];
  const { dtype } = projected;
  const y = empty([tokens, directions * units], dtype);
  const keeps = wantsGrad(inputs);
  const states = keeps ? empty([tokens, directions * 4 * units], dtype) : undefined;
  const cells = keeps && cell === "lstm" ? empty([tokens, directions * units], dtype) : undefined;
  const where = [rows, starts, starts.length - 1, tokens, units, directions] as const;
  const { kernels } = backend();
  const [from, by, plus, kept] = [given.pointer, matrix.pointer, shift?.pointer ?? null, states?.pointer ?? null];
  if (cell === "lstm") kernels.lstmF32(from, by, plus, y.pointer, cells?.pointer ?? null, kept, ...where);
  else kernels.gruF32(from, by, plus, y.pointer, kept, ...where);
  const [output] = record({
    name: cell,
    inputs,
    outputs: [y],
    save: [y, matrix, ...(states === undefined ? [] : [states]), ...(cells === undefined ? [] : [cells])],
    differentiable: false,
    backward([g], context) {
      if (g === undefined) return [];
      const [hidden, w, state, memory] = context.saved;
      const gradient = contiguous(g);
      const forInput = empty([tokens, directions * gates * units], dtype);
      // Of h W + b: in an LSTM that is simply added to what comes in.
      const forOwn = cell === "lstm" ? forInput : empty([tokens, directions * gates * units], dtype);
      const previous = empty([tokens, directions * units], dtype);
      const blocks = w.view([directions, gates * units, units]);
      const turned = contiguous(permute(blocks, [0, 2, 1]));
      const run = backend().kernels;
      if (cell === "lstm") {
        run.lstmBackwardF32(
          turned.pointer,
          hidden.pointer,
          memory.pointer,
          state.pointer,
          gradient.pointer,
          forInput.pointer,
          previous.pointer,
          ...where,
        );
      } else {
        run.gruBackwardF32(
          turned.pointer,
          hidden.pointer,
          state.pointer,
          gradient.pointer,
          forInput.pointer,
          forOwn.pointer,
          previous.pointer,
          ...where,
        );
      }
      return [
        context.needs(0) ? forInput : undefined,
        context.needs(1) ? weightGradient(forOwn, previous, sizes, context) : undefined,
        shift !== undefined && context.needs(2) ? biasGradient(forOwn, 2, context) : undefined,
      ];
    },
  });
  states?.dispose();
  cells?.dispose();
  return output;
}

/**
 * A long short-term memory (Hochreiter and Schmidhuber 1997) over each sequence, from a state of zeros:
 * i, f, o = sigmoid(...), g = tanh(...) of projected + h W^T + bias; c = f c + i g; h = o tanh(c). Gates stand in
 * PyTorch's order i, f, g, o, so that its weights carry over. Project all tokens first, in one product:
 *
 * @param projected [tokens, directions x 4 x units]: `linear(x, inputWeight, inputBias)`
 * @param weight [directions x 4 x units, units]: PyTorch's `weight_hh`, that of the backward direction below
 * @param offsets int32 [sequences + 1]
 * @returns hidden states [tokens, directions x units], each token's own step; forward, then backward
 * @throws SHAPE_MISMATCH, OFFSETS, INVALID_OPTION
 * @example
 * const hidden = lstm(linear(x, inputWeight, inputBias), recurrentWeight, offsets, { direction: "both" });
 */
export function lstm(projected: Tensor, weight: Tensor, offsets: Tensor, options: RecurrentOptions = {}): Tensor {
  return recurrence("lstm", projected, weight, offsets, options);
}

/**
 * A gated recurrent unit (arXiv 1406.1078) over each sequence, from a state of zeros: r, z = sigmoid(projected + h W^T +
 * bias); n = tanh(projected + r (h W^T + bias)); h = (1 - z) n + z h. Gates stand in PyTorch's order r, z, n, and as there
 * the bias of n is inside the bracket that r scales.
 *
 * @param projected [tokens, directions x 3 x units]; see `lstm`
 * @param weight [directions x 3 x units, units]
 * @param offsets int32 [sequences + 1]
 * @returns hidden states [tokens, directions x units]
 * @throws SHAPE_MISMATCH, OFFSETS, INVALID_OPTION
 */
export function gru(projected: Tensor, weight: Tensor, offsets: Tensor, options: RecurrentOptions = {}): Tensor {
  return recurrence("gru", projected, weight, offsets, options);
}
