// Replaced-token detection (ELECTRA, arXiv 2003.10555): a small generator guesses masked tokens, the model says of every
// token whether it was replaced. The generator is dropped.
import { add, mul } from "@cloze/tensor";
import { z } from "zod";
import { deriveSeed } from "../encoder/seeds.js";
import {
  besideGenerator,
  type ChosenBatch,
  createGenerator,
  generatorEncoder,
  generatorFields,
} from "./generator/generator.js";
import { defineObjective, lossOf } from "./objective.js";

const type = "replaced-token-detection";

const schema = z.strictObject({
  type: z.literal(type),
  ...generatorFields,
  discriminatorWeight: z.number().min(0).default(50).describe("what the detection loss is multiplied by (50)"),
  detect: z
    .enum(["all", "chosen"])
    .default("all")
    .describe("tokens that the detection loss counts: all, or the chosen ones only (the paper's ablation)"),
});

/**
 * 1 where a token was chosen and another one was drawn, else 0; where only chosen tokens count, -100 for the others. [tokens]
 */
export function replacedLabels(
  { original, rows, targets }: Pick<ChosenBatch, "original" | "rows" | "targets">,
  sampled: Int32Array,
  detect: "all" | "chosen",
): Int32Array {
  const labels = new Int32Array(original.ids.length).fill(detect === "all" ? 0 : -100);
  rows.forEach((row, i) => {
    labels[row] = Number(sampled[i] !== targets[i]);
  });
  return labels;
}

export const replacedTokenDetection = defineObjective({
  schema,
  description: "detect tokens that a small generator replaced (ELECTRA, arXiv 2003.10555)",
  aliases: { rtd: {}, electra: {}, "rtd-masked-only": { detect: "chosen" } },
  input: "sequences",
  architecture: "ForReplacedTokenDetection",
  heads: ["replaced-token"],
  check(config, encoder) {
    generatorEncoder(encoder, config);
  },
  create(config, frame) {
    const { model } = frame;
    const generator = createGenerator(`${type}.generator`, config, frame);
    return {
      ...besideGenerator(generator, config, frame, ({ original }) => original.ids.length),
      loss(chosen: ChosenBatch, context) {
        const { batch, sampled, loss } = generator.propose(chosen, context);
        const labels = replacedLabels(chosen, sampled, config.detect);
        const { seed, recompute, training = true } = context;
        const found = model.forward(batch, { labels, training, seed: deriveSeed(seed, "detector"), recompute });
        return add(loss, mul(lossOf(found), config.discriminatorWeight));
      },
    };
  },
});
