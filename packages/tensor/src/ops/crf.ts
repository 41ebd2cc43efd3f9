// Linear-chain conditional random fields (Lafferty, McCallum and Pereira, 2001).
import { reduceCode } from "../backend/contract/reduce.js";
import { backend } from "../backend/index.js";
import { ClozeError } from "../errors.js";
import { isComposing, record } from "../graph.js";
import { checkShape, formatShape } from "../shape.js";
import { empty, type Tensor, tensor, zeros } from "../tensor.js";
import { add, mul, sub } from "./elementwise.js";
import { concat, contiguous, reshape, slice } from "./movement.js";
import { sum } from "./reduce.js";
import { checkOffsets } from "./segment.js";
import { logSumExp } from "./softmax.js";

/** Sequences whose gradients of the rules are added up one after the other; fixed, so that threads change nothing. */
const group = 8;

const rowOf = (x: Tensor, row: number): Tensor => slice(x, [{ start: row, end: row + 1 }]);

/** The definition: the forward algorithm, a token at a time. */
function composedPartition(emissions: Tensor, rules: Tensor, ends: Int32Array): Tensor {
  const labels = emissions.shape[1];
  const transitions = slice(rules, [{ end: labels }]);
  const results = Array.from({ length: ends.length - 1 }, (_, s) => {
    if (ends[s] === ends[s + 1]) return zeros([1], emissions.dtype);
    let alpha = add(rowOf(emissions, ends[s]), rowOf(rules, labels));
    for (let t = ends[s] + 1; t < ends[s + 1]; t++) {
      const paths = add(reshape(alpha, [labels, 1]), transitions);
      alpha = add(logSumExp(paths, [0], true), rowOf(emissions, t));
    }
    return logSumExp(add(alpha, rowOf(rules, labels + 1)), [1]);
  });
  return results.length === 0 ? zeros([0], emissions.dtype) : concat(results, 0);
}

/**
 * The log of the sum of exp(score) over all labellings of each sequence, where the score of a labelling is the sum of its
 * emissions, of the transitions between its neighbours, and of what its first and its last label add.
 *
 * @param emissions [tokens, labels]
 * @param rules [labels + 2, labels]: transitions from label (row) to label (column), then the start, then the end
 * @param offsets int32 [sequences + 1]
 * @returns [sequences]; an empty sequence gives 0
 * @throws SHAPE_MISMATCH, OFFSETS
 */
export function crfLogPartition(emissions: Tensor, rules: Tensor, offsets: Tensor): Tensor {
  checkShape(emissions.rank === 2, "crfLogPartition", "emissions [tokens, labels]", formatShape(emissions.shape));
  const [tokens, labels] = emissions.shape;
  checkShape(
    labels >= 1 && rules.rank === 2 && rules.shape[0] === labels + 2 && rules.shape[1] === labels,
    "crfLogPartition",
    `rules [${labels + 2}, ${labels}]`,
    formatShape(rules.shape),
  );
  const ends = checkOffsets("crfLogPartition", offsets, tokens);
  const sequences = ends.length - 1;
  if (isComposing()) return composedPartition(emissions, rules, ends);
  const scores = contiguous(emissions);
  const table = contiguous(rules);
  const list = contiguous(offsets);
  const y = empty([sequences], emissions.dtype);
  const alphas = empty([tokens, labels], emissions.dtype);
  if (sequences > 0) {
    const { kernels } = backend();
    kernels.crfF32(scores.pointer, table.pointer, list.pointer, y.pointer, alphas.pointer, sequences, labels);
  }
  const [result] = record({
    name: "crfLogPartition",
    inputs: [scores, table],
    outputs: [y],
    save: [scores, table, list, alphas],
    differentiable: false,
    backward([g], { saved }) {
      if (g === undefined) return [];
      const gradient = contiguous(g);
      const groups = Math.ceil(sequences / group);
      const gemissions = empty([tokens, labels], g.dtype);
      const parts = empty([groups, labels + 2, labels], g.dtype);
      const grules = empty([labels + 2, labels], g.dtype);
      const { kernels } = backend();
      const [e, r, ends, a] = saved.map(({ pointer }) => pointer);
      if (groups > 0) {
        const into = [gemissions.pointer, parts.pointer] as const;
        kernels.crfBackwardF32(e, r, ends, a, gradient.pointer, ...into, sequences, labels, group);
      }
      kernels.reduceF32(reduceCode.sum, parts.pointer, grules.pointer, 1, groups, grules.size);
      return [gemissions, grules];
    },
  });
  alphas.dispose();
  return result;
}

/**
 * The negative log-likelihood of labellings, summed over the sequences.
 *
 * @param emissions [tokens, labels]
 * @param rules as in `crfLogPartition`
 * @param targets the label of each token. [tokens]
 * @param offsets int32 [sequences + 1]
 * @returns a scalar
 * @throws SHAPE_MISMATCH, OFFSETS, TARGET_OUT_OF_RANGE
 */
export function crfLoss(emissions: Tensor, rules: Tensor, targets: Int32Array, offsets: Tensor): Tensor {
  const logPartition = crfLogPartition(emissions, rules, offsets);
  const [tokens, labels] = emissions.shape;
  checkShape(targets.length === tokens, "crfLoss", `${tokens} targets`, String(targets.length));
  const wrong = targets.find((target) => !(target >= 0 && target < labels));
  if (wrong !== undefined) {
    throw new ClozeError("TARGET_OUT_OF_RANGE", "crfLoss: a target is no label", {
      expected: `0 to ${labels - 1}`,
      received: String(wrong),
    });
  }
  const ends = offsets.toTypedArray();
  // How often a labelling uses each number: its score is linear in them.
  const chosen = new Float32Array(tokens * labels);
  const used = new Float32Array((labels + 2) * labels);
  targets.forEach((target, t) => {
    chosen[t * labels + target] = 1;
  });
  for (let s = 0; s + 1 < ends.length; s++) {
    if (ends[s] === ends[s + 1]) continue;
    used[labels * labels + targets[ends[s]]]++;
    used[(labels + 1) * labels + targets[ends[s + 1] - 1]]++;
    for (let t = ends[s] + 1; t < ends[s + 1]; t++) used[targets[t - 1] * labels + targets[t]]++;
  }
  const score = add(
    sum(mul(emissions, tensor(chosen, emissions.shape, emissions.dtype))),
    sum(mul(rules, tensor(used, rules.shape, rules.dtype))),
  );
  return sub(sum(logPartition), score);
}
