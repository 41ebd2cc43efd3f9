import type { CrfKernels } from "../contract/crf.js";
import type { ReferenceMemory } from "./memory.js";

function logSumExp(values: readonly number[]): number {
  const top = Math.max(...values);
  if (top === Number.NEGATIVE_INFINITY) return top;
  return top + Math.log(values.reduce((total, value) => total + Math.exp(value - top), 0));
}

export function crfKernels({ real, integer }: ReferenceMemory): CrfKernels {
  return {
    crfF32(emissionsAt, rulesAt, offsetsAt, logPartitionAt, alphasAt, sequences, labels) {
      const [emissions, rules, logPartition, alphas] = [emissionsAt, rulesAt, logPartitionAt, alphasAt].map(real);
      const offsets = integer(offsetsAt);
      const each = Array.from({ length: labels }, (_, j) => j);
      for (let s = 0; s < sequences; s++) {
        let total = 0;
        let alpha: number[] = [];
        for (let t = offsets[s]; t < offsets[s + 1]; t++) {
          const scores = each.map((j) => {
            const into =
              t === offsets[s]
                ? rules[labels * labels + j]
                : logSumExp(each.map((i) => alpha[i] + rules[i * labels + j]));
            return into + emissions[t * labels + j];
          });
          const sum = logSumExp(scores);
          total += sum;
          alpha = scores.map((score) => score - sum);
          alphas.set(alpha, t * labels);
        }
        logPartition[s] =
          alpha.length === 0 ? 0 : total + logSumExp(each.map((j) => alpha[j] + rules[(labels + 1) * labels + j]));
      }
    },
    crfBackwardF32(eAt, rulesAt, offsetsAt, alphasAt, gradientAt, geAt, grulesAt, sequences, labels, group) {
      const [emissions, rules, alphas] = [eAt, rulesAt, alphasAt].map(real);
      const [gradient, ge, grules] = [gradientAt, geAt, grulesAt].map(real);
      const offsets = integer(offsetsAt);
      const each = Array.from({ length: labels }, (_, j) => j);
      const size = (labels + 2) * labels;
      grules.fill(0, 0, Math.ceil(sequences / group) * size);
      for (let s = 0; s < sequences; s++) {
        const own = Math.floor(s / group) * size;
        const [first, last] = [offsets[s], offsets[s + 1] - 1];
        let beta = each.map((j) => rules[(labels + 1) * labels + j]);
        for (let t = last; t >= first; t--) {
          const joint = each.map((j) => alphas[t * labels + j] + beta[j]);
          const sum = logSumExp(joint);
          for (const j of each) {
            const share = gradient[s] * Math.exp(joint[j] - sum);
            ge[t * labels + j] = share;
            if (t === last) grules[own + (labels + 1) * labels + j] += share;
            if (t === first) grules[own + labels * labels + j] += share;
          }
          if (t === first) continue;
          const score = (i: number, j: number) => rules[i * labels + j] + emissions[t * labels + j] + beta[j];
          const earlier = each.map((i) => logSumExp(each.map((j) => score(i, j))));
          const all = logSumExp(each.map((i) => alphas[(t - 1) * labels + i] + earlier[i]));
          for (const i of each) {
            for (const j of each) {
              grules[own + i * labels + j] += gradient[s] * Math.exp(alphas[(t - 1) * labels + i] + score(i, j) - all);
            }
          }
          beta = earlier;
        }
      }
    },
  };
}
