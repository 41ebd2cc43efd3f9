// Two of ELECTRA's ablations (arXiv 2003.10555): the model predicts identities where a generator put its own tokens.
import {
  add,
  concat,
  crossEntropy,
  linear,
  logSumExp,
  mean,
  mul,
  neg,
  reshape,
  softplus,
  type Tensor,
  tensor,
} from "@cloze/tensor";
import { z } from "zod";
import { encoderFlops, matrixSize } from "../encoder/flops.js";
import { createParameters, lookUp, prefixed } from "../encoder/parameters.js";
import { deriveSeed } from "../encoder/seeds.js";
import { denseSpecs } from "../heads/head.js";
import {
  type ChosenBatch,
  chooseTokens,
  createGenerator,
  generatorEncoder,
  generatorFields,
} from "./generator/generator.js";
import { headFlops } from "./head-flops.js";
import { defineObjective, lossOf } from "./objective.js";

const fields = {
  ...generatorFields,
  weight: z.number().min(0).default(1).describe("what the model's own loss is multiplied by (1)"),
};
const heads = ["masked-language", "pretraining"] as const;

/** "Replace MLM": masked words, but with the generator's tokens in the place of [MASK]. */
export const replacedLanguage = defineObjective({
  schema: z.strictObject({ type: z.literal("replaced-language"), ...fields }),
  description: "predict tokens that a small generator replaced (ELECTRA's Replace MLM)",
  aliases: { "replace-mlm": {} },
  input: "sequences",
  architecture: "ForMaskedLM",
  heads,
  check(config, encoder) {
    generatorEncoder(encoder, config);
  },
  create(config, frame) {
    const { model, vocabulary } = frame;
    const generator = createGenerator("replaced-language.generator", config, frame);
    return {
      parameters: generator.parameters,
      state: new Map(),
      prepare: (batch, random): ChosenBatch => chooseTokens(batch, vocabulary, random, config),
      loss(chosen, context) {
        const { rows, targets } = chosen;
        const { batch, loss } = generator.propose(chosen, context);
        const { recompute } = context;
        const seed = deriveSeed(context.seed, "model");
        const restored = model.forward(batch, { rows, targets, training: true, seed, recompute });
        return add(loss, mul(lossOf(restored), config.weight));
      },
      tokens: ({ original }) => original.ids.length,
      flops: (chosen) =>
        3 *
        (generator.flops(chosen) +
          encoderFlops(model.encoder.config, chosen.original.offsets) +
          headFlops(model, chosen.rows.length)),
      dispose: generator.dispose,
    };
  },
});

const logSigmoid = (x: Tensor): Tensor => neg(softplus(neg(x)));

/**
 * -log(c · [the token is the original] + (1 - c) · p(original)), averaged over all tokens, with the copy gate c = sigmoid of
 * a logit.
 *
 * @param gate [tokens]
 * @param logits [tokens, vocabulary]
 * @param original the ids that stood there. [tokens]
 * @param read the ids that the model read. [tokens]
 */
export function copyLoss(gate: Tensor, logits: Tensor, original: Int32Array, read: Int32Array): Tensor {
  const tokens = original.length;
  const predicted = neg(crossEntropy(logits, tensor(original), { reduction: "none" })); // log p(original)
  // e^-1e4 is 0: copying is no way to a token that is another one.
  const same = tensor(Float32Array.from(original, (id, i) => (id === read[i] ? 0 : -1e4)));
  const copied = reshape(add(logSigmoid(gate), same), [tokens, 1]);
  const restored = reshape(add(logSigmoid(neg(gate)), predicted), [tokens, 1]);
  return neg(mean(logSumExp(concat([copied, restored], 1))));
}

/** "All-Tokens MLM": identities at all positions, with a gate that copies what is read. */
export const allTokensLanguage = defineObjective({
  schema: z.strictObject({ type: z.literal("all-tokens-language"), ...fields }),
  description: "predict all tokens behind a copy gate (ELECTRA's All-Tokens MLM)",
  aliases: { "all-tokens-mlm": {} },
  input: "sequences",
  architecture: "ForMaskedLM",
  heads,
  check(config, encoder) {
    generatorEncoder(encoder, config);
  },
  create(config, frame) {
    const { model, vocabulary, seed } = frame;
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
    return {
      parameters: new Map([...generator.parameters, ...gate]),
      state: new Map(),
      prepare: (batch, random): ChosenBatch => chooseTokens(batch, vocabulary, random, config),
      loss(chosen, context) {
        const { batch, loss } = generator.propose(chosen, context);
        const { recompute } = context;
        const output = model.forward(batch, { training: true, seed: deriveSeed(context.seed, "model"), recompute });
        const logit = reshape(dense("logit", dense("transform", output.hidden, "gelu"), "none"), [batch.ids.length]);
        const all = copyLoss(logit, output.logits as Tensor, chosen.original.ids, batch.ids);
        return add(loss, mul(all, config.weight));
      },
      tokens: ({ original }) => original.ids.length,
      flops(chosen) {
        const tokens = chosen.original.ids.length;
        const own = encoderFlops(model.encoder.config, chosen.original.offsets) + headFlops(model, tokens);
        return 3 * (generator.flops(chosen) + own + 2 * tokens * matrixSize(specs));
      },
      dispose() {
        generator.dispose();
        for (const parameter of gate.values()) parameter.dispose();
      },
    };
  },
});
