// One-way language modelling: each token predicts the one after it. What two-way models are compared with.
import { z } from "zod";
import type { PackedBatch } from "../data/packed-batch.js";
import { isCausal } from "../encoder/direction.js";
import { encoderFlops } from "../encoder/flops.js";
import { headFlops } from "./head-flops.js";
import { cannotCombine, defineObjective, lossOf, nothingBeside } from "./objective.js";

export const causalLanguage = defineObjective({
  schema: z.strictObject({ type: z.literal("causal-language") }),
  description: "predict the next token; for encoders that look one way",
  aliases: { clm: {} },
  input: "sequences",
  architecture: "LMHeadModel",
  heads: ["causal-language"],
  check(_, encoder) {
    if (isCausal(encoder)) return;
    throw cannotCombine("An encoder that sees the next token cannot learn to predict it", {
      expected: "causal attention in every layer",
      received: encoder.layers.find(({ mixer }) => mixer.type !== "attention")?.mixer.type ?? "two-way attention",
      remedy: 'Give its mixers "direction": "causal" (cloze pretrain --direction causal).',
    });
  },
  create: (_, { model }) => ({
    ...nothingBeside,
    prepare: (batch: PackedBatch): PackedBatch => batch,
    loss: (batch, { seed, recompute, training = true }) =>
      lossOf(model.forward(batch, { labels: batch.ids, lossOnly: true, training, seed, recompute })),
    tokens: ({ ids }) => ids.length,
    flops: ({ ids, offsets }) => 3 * (encoderFlops(model.encoder.config, offsets) + headFlops(model, ids.length)),
  }),
});
