// What routers of experts are asked beside the task: to know the field, to use all experts, to give each field its own.
import {
  add,
  argmax,
  concat,
  crossEntropy,
  log,
  maximum,
  mean,
  mul,
  scatterRows,
  softmax,
  sub,
  sum,
  type Tensor,
  tensor,
} from "@cloze/tensor";

/** Weights of the three; 0 or absent: not asked. G1 of arXiv 2401.15713 takes 0.01, 0.05 and 0.01. */
export interface RouterLossWeights {
  /** Cross-entropy between the mean logits of all layers and the field. */
  readonly specified?: number;
  /** Experts are used alike: N sum_i p_i f_i (arXiv 2101.03961). */
  readonly balance?: number;
  /** Mutual information of field and expert, negated. */
  readonly information?: number;
}

const meanOf = (parts: readonly Tensor[]): Tensor =>
  mul(
    parts.slice(1).reduce((total, part) => add(total, part), parts[0]),
    1 / parts.length,
  );

/**
 * N sum_i p_i f_i: p is the mean probability of expert i, f the share of rows that go to it. Least, 1, where both are uniform.
 *
 * @param logits [rows, experts]
 */
export function balanceLoss(logits: Tensor): Tensor {
  const [rows, experts] = logits.shape;
  const share = new Float32Array(experts);
  for (const expert of argmax(logits).toTypedArray()) share[expert] += 1 / rows;
  return mul(sum(mul(mean(softmax(logits), [0]), tensor(share))), experts);
}

/**
 * -sum P log(P / (P_t P_e)) of the joint distribution of field t and expert e, scaled to the sum `k`: -log N for one expert for
 * each of N fields, 0 where routing does not depend on the field (k = 1).
 *
 * @param probabilities what routers give [rows, experts]
 * @param fields of each row. [rows]
 */
export function informationLoss(probabilities: Tensor, fields: Int32Array, k = 1): Tensor {
  const count = fields.reduce((most, field) => Math.max(most, field), 0) + 1;
  const joint = mul(scatterRows(probabilities, tensor(fields), count), k / fields.length); // [fields, experts]
  const byField = sum(joint, [1], true);
  const byExpert = sum(joint, [0], true);
  // P log P is 0 at 0.
  const floor = (x: Tensor): Tensor => log(maximum(x, 1e-30));
  const gain = sub(sub(floor(joint), floor(byField)), floor(byExpert));
  return mul(sum(mul(joint, gain)), -1);
}

/**
 * The weighted sum of what is asked of routers; undefined where nothing is.
 *
 * @param layers logits of each layer for the same texts, [texts, experts] each
 * @param fields the field of each text. [texts]
 */
export function routerLoss(
  layers: readonly Tensor[],
  fields: Int32Array,
  { specified = 0, balance = 0, information = 0 }: RouterLossWeights,
): Tensor | undefined {
  if (layers.length === 0) return undefined;
  const logits = meanOf(layers);
  const terms = [
    ...(specified === 0 ? [] : [mul(crossEntropy(logits, tensor(fields)), specified)]),
    ...(balance === 0 ? [] : [mul(balanceLoss(concat(layers, 0)), balance)]),
    ...(information === 0 ? [] : [mul(informationLoss(softmax(logits), fields), information)]),
  ];
  return terms.length === 0 ? undefined : terms.slice(1).reduce((total, term) => add(total, term), terms[0]);
}
