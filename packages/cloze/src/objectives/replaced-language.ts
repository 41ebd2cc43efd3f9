// Two of ELECTRA's ablations (arXiv 2003.10555): the model predicts identities where a generator put its own tokens.
import {
  add,
  concat,
  linear,
  logSumExp,
  mul,
  neg,
  type RowLoss,
  reshape,
  softplus,
  type Tensor,
  tensor,
} from "@cloze/tensor";
import { z } from "zod";
import type { EncoderConfig } from "../encoder/config.js";
import { matrixSize } from "../encoder/flops.js";
import { createParameters, lookUp, prefixed } from "../encoder/parameters.js";
import { deriveSeed } from "../encoder/seeds.js";
import { denseSpecs } from "../heads/head.js";
import {
  besideGenerator,
  type ChosenBatch,
  createGenerator,
  type GeneratorConfig,
  generatorEncoder,
  generatorFields,
} from "./generator/generator.js";
import { defineObjective, lossOf } from "./objective.js";

const fields = {
  ...generatorFields,
  weight: z.number().min(0).default(1).describe("what the model's own loss is multiplied by (1)"),
};
/** Of both objectives. */
const common = {
  input: "sequences",
  architecture: "ForMaskedLM",
  heads: ["masked-language", "pretraining"],
  check(config: GeneratorConfig, encoder: EncoderConfig) {
    generatorEncoder(encoder, config);
  },
} as const;

/** "Replace MLM": masked words, but with the generator's tokens in the place of [MASK]. */
export const replacedLanguage = defineObjective({
  schema: z.strictObject({ type: z.literal("replaced-language"), ...fields }),
  description: "predict tokens that a small generator replaced (ELECTRA's Replace MLM)",
  aliases: { "replace-mlm": {} },
  ...common,
  create(config, frame) {
    const { model } = frame;
    const generator = createGenerator("replaced-language.generator", config, frame);
    return {
      ...besideGenerator(generator, config, frame, ({ rows }) => rows.length),
      loss(chosen: ChosenBatch, context) {
        const { rows, targets } = chosen;
        const { batch, loss } = generator.propose(chosen, context);
        const { recompute, training = true } = context;
        const seed = deriveSeed(context.seed, "model");
        const restored = model.forward(batch, { rows, targets, lossOnly: true, training, seed, recompute });
        return add(loss, mul(lossOf(restored), config.weight));
      },
    };
  },
});

const logSigmoid = (x: Tensor): Tensor => neg(softplus(neg(x)));

/**
 * -log(c · [the token is the original] + (1 - c) · p(original)) of each token, with the copy gate c = sigmoid of a logit; of
 * cross-entropies -log p(original).
 *
 * @param gate [tokens]
 * @param original the ids that stood there. [tokens]
 * @param read the ids that the model read. [tokens]
 */
export const copyLoss = (gate: Tensor, original: Int32Array, read: Int32Array): RowLoss => ({
  // e^-1e4 is 0: copying is no way to a token that is another one.
  beside: [gate, tensor(Float32Array.from(original, (id, i) => (id === read[i] ? 0 : -1e4)))],
  of(losses, logit, same) {
    const column = (x: Tensor) => reshape(x, [losses.size, 1]);
    const copied = column(add(logSigmoid(logit), same));
    const restored = column(add(logSigmoid(neg(logit)), neg(losses)));
    return neg(logSumExp(concat([copied, restored], 1)));
  },
});

/** "All-Tokens MLM": identities at all positions, with a gate that copies what is read. */
export const allTokensLanguage = defineObjective({
  schema: z.strictObject({ type: z.literal("all-tokens-language"), ...fields }),
  description: "predict all tokens behind a copy gate (ELECTRA's All-Tokens MLM)",
  aliases: { "all-tokens-mlm": {} },
  ...common,
  create(config, frame) {
    const { model, seed } = frame;
    const { hiddenSize, initializerRange } = model.encoder.config;
    const prefix = "all-tokens-language";
    const generator = createGenerator(`${prefix}.generator`, config, frame);
    const specs = prefixed(`${prefix}.gate`, [
      ...denseSpecs("transform", hiddenSize, hiddenSize),
      ...denseSpecs("logit", 1, hiddenSize),
    ]);
    const gate = createParameters(specs, { seed: deriveSeed(seed, prefix) }, initializerRange);
    const dense = (name: string, x: Tensor, activation: "gelu" | "none"): Tensor =>
      linear(x, lookUp(gate, `${prefix}.gate.${name}.weight`), lookUp(gate, `${prefix}.gate.${name}.bias`), {
        activation,
      });
    const shared = besideGenerator(generator, config, frame, ({ original }) => original.ids.length);
    return {
      ...shared,
      parameters: new Map([...generator.parameters, ...gate]),
      loss(chosen: ChosenBatch, context) {
        const { batch, loss } = generator.propose(chosen, context);
        const { recompute, training = true } = context;
        const { ids } = chosen.original;
        const gateOf = (hidden: Tensor) =>
          reshape(dense("logit", dense("transform", hidden, "gelu"), "none"), [ids.length]);
        const restored = model.forward(batch, {
          labels: ids,
          lossOnly: true,
          rowLoss: (hidden) => copyLoss(gateOf(hidden), ids, batch.ids),
          training,
          seed: deriveSeed(context.seed, "model"),
          recompute,
        });
        return add(loss, mul(lossOf(restored), config.weight));
      },
      flops: (chosen: ChosenBatch) => shared.flops(chosen) + 6 * shared.tokens(chosen) * matrixSize(specs),
      dispose() {
        generator.dispose();
        for (const parameter of gate.values()) parameter.dispose();
      },
    };
  },
});
