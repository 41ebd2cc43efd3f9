// Soft counts of how often a word's likenesses fall near each of some levels (K-NRM, Xiong 2017; IDCM, Hofstätter 2021).
import { div, exp, neg, segmentSum, square, sub, type Tensor, tensor } from "@cloze/tensor";

/** Centres of the kernels: 1, 0.9, 0.7 … -0.9. */
export const kernelCentres: readonly number[] = [1, ...Array.from({ length: 10 }, (_, i) => (9 - 2 * i) / 10)];
const deviation = 0.1;

/**
 * Sums over each text's words of exp(-(likeness - centre)^2 / (2 · 0.1^2)), for one centre.
 *
 * @param likeness cosines of the words of all texts with those of a query: [words, query]
 * @param offsets where each text begins: int32 [texts + 1]
 * @returns [texts, query]
 */
export const kernelSums = (likeness: Tensor, offsets: Int32Array, centre: number): Tensor =>
  segmentSum(exp(neg(div(square(sub(likeness, centre)), 2 * deviation ** 2))), tensor(offsets));
