import { add, concat, exp, logSoftmax, mul, sub, sum, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import { randomOrder, randomSource } from "../../data/random-source.js";
import { defineLoss, type EmbeddingLoss, type LossInput } from "./loss.js";
import { baseOption, checkDims, dimsOption, halves, overDims } from "./matryoshka.js";

/** How much the loss of a layer counts, by its depth (1: after the first layer; 0: the embeddings). */
export const layerWeightings = {
  uniform: () => 1,
  /** AnglE's: the shallower, the more. */
  inverse: (depth: number) => 1 / Math.max(1, depth),
  log: (depth: number) => 1 / (1 + Math.log(1 + depth)),
  linear: (depth: number) => 1 / (1 + depth),
} as const;

export interface DepthSettings {
  /** Layers that are drawn at each step; 0: all below the last. */
  layersPerStep: number;
  weighting: keyof typeof layerWeightings;
  /** The embeddings count as a layer too. */
  embeddings: boolean;
  lastWeight: number;
  priorWeight: number;
  kl: { weight: number; temperature: number; detach: boolean };
}

/**
 * KL(softmax(target / T) || softmax(x / T)) over the numbers of each vector, summed over them, averaged over the rows.
 *
 * @param x [rows, width]
 */
export function vectorDivergence(x: Tensor, target: Tensor, temperature: number): Tensor {
  const q = logSoftmax(mul(x, 1 / temperature));
  const p = logSoftmax(mul(target, 1 / temperature));
  return mul(sum(mul(exp(p), sub(p, q))), 1 / x.shape[0]);
}

/**
 * A loss at the last layer and at layers below it, and the divergence of their vectors from the last one's (2DMSE, arXiv
 * 2402.14776): last + prior x mean over drawn layers of weight(l) loss(l) + T x kl(l, last).
 */
export function overDepths(base: EmbeddingLoss, settings: DepthSettings): EmbeddingLoss {
  const { layersPerStep, weighting, embeddings, lastWeight, priorWeight, kl } = settings;
  return {
    ...base,
    scaleInvariant: false,
    needs: { ...base.needs, depths: true },
    forward(input: LossInput) {
      const depths = input.depths ?? [];
      const candidates = depths.map((_, depth) => depth).filter((depth) => depth > 0 || embeddings);
      const count = layersPerStep > 0 ? Math.min(layersPerStep, candidates.length) : candidates.length;
      const drawn =
        count === candidates.length
          ? candidates
          : [...randomOrder(candidates.length, randomSource(input.seed, 1)).subarray(0, count)].map(
              (i) => candidates[i],
            );
      const { depths: _, ...rest } = input;
      const terms = [mul(base.forward(rest), lastWeight)];
      const last = concat([...input.columns], 0);
      const target = kl.detach ? last.detach() : last;
      for (const depth of drawn) {
        const columns = depths[depth];
        const weight = (layerWeightings[weighting](depth) * priorWeight) / drawn.length;
        if (weight > 0) terms.push(mul(base.forward({ ...rest, columns }), weight));
        if (kl.weight > 0) {
          const divergence = vectorDivergence(concat([...columns], 0), target, kl.temperature);
          terms.push(mul(divergence, kl.weight * kl.temperature));
        }
      }
      return terms.reduce((total, term) => add(total, term));
    },
  };
}

/** The sum of losses over the same input. */
const sumOf = (losses: readonly EmbeddingLoss[]): EmbeddingLoss => ({
  ...losses[0],
  forward: (input) => losses.map((loss) => loss.forward(input)).reduce((total, one) => add(total, one)),
});

/**
 * Any depth and any width (2DMSE, arXiv 2402.14776): f(L, d) + f(l, d)/l + f(L, m) + f(l, m)/l + KL(l, L), layer l and size m
 * drawn at each step; these defaults are AnglE's improved form. sentence-transformers' Matryoshka2dLoss is fullSize false,
 * embeddings true, weighting "uniform", kl { temperature: 0.3, detach: true }.
 *
 * Rows: those of the loss it wraps. What is trained so can be cut: `embedder.truncate({ layers, dims })`.
 */
export const matryoshka2d = defineLoss({
  type: "matryoshka2d",
  aliases: ["2dmse", "matryoshka-2d"],
  description: "any loss (base) at any depth and any width: the trained embedder can be truncated both ways",
  rows: "any",
  search: true,
  cacheable: false,
  options: z.strictObject({
    base: baseOption,
    dims: dimsOption,
    dimsPerStep: z.int().min(0).default(1).describe("sizes below the full one that are drawn at each step; 0: all"),
    fullSize: z.boolean().default(true).describe("the full size counts at each step, whatever is drawn"),
    layersPerStep: z.int().min(0).default(1).describe("layers drawn at each step; 0: all below the last"),
    weighting: z
      .enum(Object.keys(layerWeightings) as [keyof typeof layerWeightings])
      .default("inverse")
      .describe("how much a layer counts by its depth: inverse, uniform, log, linear"),
    embeddings: z.boolean().default(false).describe("the embeddings count as a layer"),
    lastWeight: z.number().min(0).default(1).describe("of the last layer's loss"),
    priorWeight: z.number().min(0).default(1).describe("of the other layers' losses"),
    kl: z
      .strictObject({
        weight: z.number().min(0).default(1),
        temperature: z.number().positive().default(1),
        detach: z.boolean().default(false),
      })
      .prefault({})
      .describe("divergence of a layer's vectors from the last one's: {weight, temperature, detach}"),
  }),
  create({ base, dims, dimsPerStep, fullSize, ...depth }, setup) {
    const sizes = dims ?? halves(setup.width, 8);
    checkDims(sizes, setup.width);
    const inner = setup.base(base);
    const smaller = fullSize ? sizes.filter((size) => size < setup.width) : sizes;
    const drawn = smaller.length === 0 ? undefined : overDims(inner, { dims: smaller, dimsPerStep });
    const full = fullSize || drawn === undefined ? overDims(inner, { dims: [setup.width], dimsPerStep: 0 }) : undefined;
    return overDepths(sumOf([full, drawn].filter((one) => one !== undefined)), depth);
  },
});
