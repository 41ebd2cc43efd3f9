// Token objectives that never show [MASK] (Structural Self-Supervised Objectives, arXiv 2309.08272): detect tokens that were
// substituted at random. (Its third one, swapped language modelling, is masked-language as "slm".)
import { mul, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import type { PackedBatch } from "../data/packed-batch.js";
import { type RandomSource, randomSource } from "../data/random-source.js";
import { encoderFlops } from "../encoder/flops.js";
import { deriveSeed } from "../encoder/seeds.js";
import { createClusters } from "./clusters.js";
import { withTokens } from "./generator/generator.js";
import { headFlops } from "./head-flops.js";
import type { MaskingVocabulary } from "./masking.js";
import { defineObjective, type LossContext, lossOf, nothingBeside, type ObjectiveModel } from "./objective.js";

const fields = {
  rate: z.number().gt(0).lt(1).default(0.15).describe("chance of a token to be substituted (0.15)"),
  unit: z.enum(["token", "whole-word"]).default("token").describe("what is substituted together: token or whole-word"),
  detectionWeight: z.number().positive().default(50).describe("what the loss is multiplied by (50)"),
};

/** Tokens that were chosen for substitution. */
export interface SubstitutionBatch {
  readonly original: PackedBatch;
  /** Ascending. [chosen] */
  readonly rows: Int32Array;
}

/**
 * Chooses each token that is not special with the same chance, on its own; with "whole-word", the starts of words, each with
 * the pieces that continue it.
 */
export function chooseByChance(
  batch: PackedBatch,
  { specialIds, isContinuation }: Pick<MaskingVocabulary, "specialIds" | "isContinuation">,
  random: RandomSource,
  { rate, unit }: { rate: number; unit: "token" | "whole-word" },
): Int32Array {
  const rows: number[] = [];
  let chosen = false;
  let open = false;
  batch.ids.forEach((id, row) => {
    if (specialIds.has(id)) {
      open = false;
      return;
    }
    const continues = unit === "whole-word" && open && isContinuation?.(id) === true;
    if (!continues) chosen = random() < rate;
    open = true;
    if (chosen) rows.push(row);
  });
  return Int32Array.from(rows);
}

/** 1 where a substitute is another token than the original, else 0. [tokens] */
export function substitutionLabels(original: PackedBatch, substituted: PackedBatch): Int32Array {
  return original.ids.map((id, row) => Number(id !== substituted.ids[row]));
}

function detect(
  model: ObjectiveModel,
  original: PackedBatch,
  substituted: PackedBatch,
  { seed, recompute, training = true }: LossContext,
) {
  const labels = substitutionLabels(original, substituted);
  return { labels, ...model.forward(substituted, { labels, training, seed, recompute }) };
}

const flopsOf = (model: ObjectiveModel, { ids, offsets }: PackedBatch): number =>
  3 * (encoderFlops(model.encoder.config, offsets) + headFlops(model, ids.length));

/** Random token substitution: substitutes are drawn from the whole vocabulary, all ids alike. */
export const randomTokenSubstitution = defineObjective({
  schema: z.strictObject({ type: z.literal("random-token-substitution"), ...fields }),
  description: "detect tokens that random ones replaced (RTS, arXiv 2309.08272)",
  aliases: { rts: {} },
  input: "sequences",
  architecture: "ForReplacedTokenDetection",
  heads: ["replaced-token"],
  create: (config, { model, vocabulary }) => ({
    ...nothingBeside,
    prepare(original, random) {
      const rows = chooseByChance(original, vocabulary, random, config);
      const substitutes = rows.map(() => Math.floor(random() * vocabulary.vocabularySize));
      return { original, substituted: withTokens(original, rows, substitutes) };
    },
    loss({ original, substituted }, context) {
      return mul(lossOf(detect(model, original, substituted, context)), config.detectionWeight);
    },
    tokens: ({ original }) => original.ids.length,
    flops: ({ original }) => flopsOf(model, original),
  }),
});

/** Substitutes from clusters of tokens; clusters with which the model is often wrong are drawn more often. */
export const clusteredTokenSubstitution = defineObjective({
  schema: z.strictObject({
    type: z.literal("clustered-token-substitution"),
    ...fields,
    clusters: z
      .int()
      .min(2)
      .default(100)
      .describe("clusters of tokens (100), made of the word embeddings at the start"),
    beta: z.number().min(0).default(2).describe("how much errors count when a cluster is drawn (2); 0: not at all"),
    countUnchanged: z.boolean().default(false).describe("tokens that stayed count too, between a cluster and itself"),
  }),
  description: "detect tokens that others from confusable clusters replaced (C-RTS, arXiv 2309.08272)",
  aliases: { "c-rts": {} },
  input: "sequences",
  architecture: "ForReplacedTokenDetection",
  heads: ["replaced-token"],
  create(config, { model, vocabulary, seed }) {
    const clusters = createClusters("clustered-token-substitution", config.clusters, { model, vocabulary, seed });
    return {
      parameters: new Map(),
      state: clusters.state,
      prepare: (original, random): SubstitutionBatch => ({
        original,
        rows: chooseByChance(original, vocabulary, random, config),
      }),
      loss({ original, rows }, context) {
        // Drawn here, since the counts are those after the step before.
        const random = randomSource(deriveSeed(context.seed, "substitutes"));
        const sampler = clusters.sampler(config.beta);
        const substitutes = rows.map((row) => sampler(original.ids[row], random));
        const substituted = withTokens(original, rows, substitutes);
        const output = detect(model, original, substituted, context);
        const loss = mul(lossOf(output), config.detectionWeight);
        // What is only measured must not change the run.
        if (context.training === false) return loss;
        const logits = (output.logits as Tensor).detach().toTypedArray();
        const chosen = new Set(rows);
        original.ids.forEach((id, row) => {
          const changed = id !== substituted.ids[row];
          const counts = chosen.has(row)
            ? changed || config.countUnchanged
            : config.countUnchanged && !vocabulary.specialIds.has(id);
          if (!counts) return;
          const wrong = Number(logits[row] > 0) !== output.labels[row];
          clusters.note(id, substituted.ids[row], wrong);
        });
        return loss;
      },
      afterStep: clusters.update,
      tokens: ({ original }) => original.ids.length,
      flops: ({ original }) => flopsOf(model, original),
      dispose: clusters.dispose,
    };
  },
});
