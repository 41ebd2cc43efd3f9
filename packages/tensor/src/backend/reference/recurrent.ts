import type { RecurrentKernels } from "../contract/recurrent.js";
import type { ReferenceMemory } from "./memory.js";

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
type Reals = Float32Array | Float64Array;

/** Runs `body(place of this step, place of the step before or -1, direction)`, a place being a row's number times directions. */
function walk(
  rows: Int32Array,
  starts: Int32Array,
  { steps, tokens, directions, backwards }: { steps: number; tokens: number; directions: number; backwards: boolean },
  body: (place: number, before: number, direction: number, sequence: number) => void,
): void {
  for (let d = 0; d < directions; d++) {
    for (let i = 0; i < steps; i++) {
      const t = backwards ? steps - 1 - i : i;
      for (let s = 0; s < starts[t + 1] - starts[t]; s++) {
        const place = (step: number) => rows[d * tokens + starts[step] + s] * directions + d;
        body(place(t), t > 0 ? place(t - 1) : -1, d, s);
      }
    }
  }
}

/** h W + bias of one gate's unit. `line`: the row of the weight, over all directions. */
function recur(weight: Reals, bias: Reals | undefined, y: Reals, before: number, line: number, units: number): number {
  let total = bias === undefined ? 0 : bias[line];
  if (before >= 0) for (let k = 0; k < units; k++) total += y[before * units + k] * weight[line * units + k];
  return total;
}

/** Adds W^T g to the gradient of the state before. */
function recurBackward(transposed: Reals, g: Reals, at: number, into: Reals, to: number, width: number, units: number) {
  for (let k = 0; k < units; k++) for (let j = 0; j < width; j++) into[to + k] += g[at + j] * transposed[k * width + j];
}

export function recurrentKernels({ real }: ReferenceMemory): RecurrentKernels {
  const optional = (pointer: Parameters<typeof real>[0]) => (pointer === null ? undefined : real(pointer));
  return {
    lstmF32(projected, weight, bias, y, cells, states, rows, starts, steps, tokens, units, directions) {
      const [input, w, b, out] = [real(projected), real(weight), optional(bias), real(y)];
      const kept = optional(states);
      const cell = optional(cells) ?? new Float64Array(tokens * directions * units);
      walk(rows, starts, { steps, tokens, directions, backwards: false }, (place, before, d) => {
        for (let j = 0; j < units; j++) {
          const sums = [0, 1, 2, 3].map((gate) => {
            const line = (d * 4 + gate) * units + j;
            return input[(place * 4 + gate) * units + j] + recur(w, b, out, before, line, units);
          });
          const gates = sums.map((x, gate) => (gate === 2 ? Math.tanh(x) : sigmoid(x)));
          const c = gates[1] * (before < 0 ? 0 : cell[before * units + j]) + gates[0] * gates[2];
          cell[place * units + j] = c;
          out[place * units + j] = gates[3] * Math.tanh(c);
          for (let gate = 0; kept !== undefined && gate < 4; gate++) {
            kept[(place * 4 + gate) * units + j] = gates[gate];
          }
        }
      });
    },
    lstmBackwardF32(transposed, y, cells, states, gy, gp, previous, rows, starts, steps, tokens, units, directions) {
      const [w, h, cell, kept, g, to, old] = [transposed, y, cells, states, gy, gp, previous].map(real);
      const forHidden = new Float64Array(tokens * directions * units);
      const forCell = new Float64Array(tokens * directions * units);
      walk(rows, starts, { steps, tokens, directions, backwards: true }, (place, before, d) => {
        for (let j = 0; j < units; j++) {
          const at = place * units + j;
          const [i, f, n, o] = [0, 1, 2, 3].map((gate) => kept[(place * 4 + gate) * units + j]);
          const squashed = Math.tanh(cell[at]);
          const gh = g[at] + forHidden[at];
          const gc = forCell[at] + gh * o * (1 - squashed ** 2);
          const cellBefore = before < 0 ? 0 : cell[before * units + j];
          [
            gc * n * i * (1 - i),
            gc * cellBefore * f * (1 - f),
            gc * i * (1 - n ** 2),
            gh * squashed * o * (1 - o),
          ].forEach((value, gate) => {
            to[(place * 4 + gate) * units + j] = value;
          });
          old[at] = before < 0 ? 0 : h[before * units + j];
          if (before >= 0) forCell[before * units + j] = gc * f;
        }
        const width = 4 * units;
        const matrix = w.subarray(d * units * width);
        if (before >= 0) recurBackward(matrix, to, place * width, forHidden, before * units, width, units);
      });
    },
    gruF32(projected, weight, bias, y, states, rows, starts, steps, tokens, units, directions) {
      const [input, w, b, out, kept] = [real(projected), real(weight), optional(bias), real(y), optional(states)];
      walk(rows, starts, { steps, tokens, directions, backwards: false }, (place, before, d) => {
        for (let j = 0; j < units; j++) {
          const given = [0, 1, 2].map((gate) => input[(place * 3 + gate) * units + j]);
          const own = [0, 1, 2].map((gate) => recur(w, b, out, before, (d * 3 + gate) * units + j, units));
          const r = sigmoid(given[0] + own[0]);
          const z = sigmoid(given[1] + own[1]);
          const n = Math.tanh(given[2] + r * own[2]);
          out[place * units + j] = (1 - z) * n + z * (before < 0 ? 0 : out[before * units + j]);
          [r, z, n, own[2]].forEach((value, which) => {
            if (kept !== undefined) kept[(place * 4 + which) * units + j] = value;
          });
        }
      });
    },
    gruBackwardF32(transposed, y, states, gy, gp, gr, previous, rows, starts, steps, tokens, units, directions) {
      const [w, h, kept, g, forInput, forOwn, old] = [transposed, y, states, gy, gp, gr, previous].map(real);
      const forHidden = new Float64Array(tokens * directions * units);
      walk(rows, starts, { steps, tokens, directions, backwards: true }, (place, before, d) => {
        for (let j = 0; j < units; j++) {
          const at = place * units + j;
          const [r, z, n, own] = [0, 1, 2, 3].map((which) => kept[(place * 4 + which) * units + j]);
          const hBefore = before < 0 ? 0 : h[before * units + j];
          const gh = g[at] + forHidden[at];
          const gn = gh * (1 - z) * (1 - n ** 2);
          const values = [gn * own * r * (1 - r), gh * (hBefore - n) * z * (1 - z), gn];
          values.forEach((value, gate) => {
            forInput[(place * 3 + gate) * units + j] = value;
            forOwn[(place * 3 + gate) * units + j] = gate === 2 ? value * r : value;
          });
          old[at] = hBefore;
          if (before >= 0) forHidden[before * units + j] = gh * z;
        }
        const width = 3 * units;
        const matrix = w.subarray(d * units * width);
        if (before >= 0) recurBackward(matrix, forOwn, place * width, forHidden, before * units, width, units);
      });
    },
  };
}
