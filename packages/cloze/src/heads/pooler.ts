import type { Tensor } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../encoder/batch.js";
import type { ParameterSpec } from "../encoder/part.js";
import { defineHead, dense, denseSpecs, firstTokens, type HeadContext } from "./head.js";

/** The parameters of `pool`. */
export const poolerSpecs = (hiddenSize: number): ParameterSpec[] => denseSpecs("pooler", hiddenSize, hiddenSize);

/** tanh(first token W^T + b). hidden: [tokens, hidden] -> [sequences, hidden] */
export const pool = (hidden: Tensor, batch: EncoderBatch, context: HeadContext): Tensor =>
  dense("pooler", firstTokens(hidden, batch), context, { activation: "tanh" });

/** BERT's pooler alone. */
export const pooler = defineHead({
  schema: z.strictObject({ type: z.literal("pooler") }),
  bind: (_, { hiddenSize }) => ({
    parameters: poolerSpecs(hiddenSize),
    forward: (hidden, batch, _labels, context) => ({ pooled: pool(hidden, batch, context) }),
  }),
});

/** Hidden states only. */
export const none = defineHead({
  schema: z.strictObject({ type: z.literal("none") }),
  bind: () => ({ parameters: [], forward: () => ({}) }),
});
