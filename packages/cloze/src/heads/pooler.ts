import type { PlanBuilder, PlanValue, Tensor } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../encoder/batch.js";
import type { OnnxValue } from "../encoder/onnx.js";
import type { EncoderFrame, ParameterSpec } from "../encoder/part.js";
import { defineHead, type HeadContext, planPooling, poolingSchema, poolTokens } from "./head.js";
import { type OnnxHeadAccess, onnxPooling, onnxTransform } from "./head-onnx.js";
import { applyTransform, planTransform, transformSchema, transformSpecs } from "./head-transform.js";

/** How heads that need one vector for each sequence get it. */
export const poolerFields = {
  pooling: poolingSchema.default("first"),
  /** Default: BERT's, dense and tanh. */
  pooler: transformSchema.prefault({}),
};
export type PoolerConfig = z.output<ReturnType<typeof z.strictObject<typeof poolerFields>>>;

/** Width of what `pool` gives. */
export const pooledSize = ({ pooler }: PoolerConfig, { hiddenSize }: EncoderFrame): number =>
  pooler?.size ?? hiddenSize;

/** The parameters of `pool`. */
export const poolerSpecs = (config: PoolerConfig, encoder: EncoderFrame): ParameterSpec[] =>
  transformSpecs("pooler", config.pooler, encoder, encoder.hiddenSize, pooledSize(config, encoder));

/** One vector for each sequence, through the pooler. hidden: [tokens, hidden] -> [sequences, pooled] */
export const pool = (
  hidden: Tensor,
  batch: EncoderBatch,
  { pooling, pooler }: PoolerConfig,
  encoder: EncoderFrame,
  context: HeadContext,
): Tensor => applyTransform("pooler", poolTokens(hidden, batch, pooling), pooler, encoder, context);

/** The same in a plan. */
export const planPooler = (
  hidden: PlanValue,
  { pooling, pooler }: PoolerConfig,
  encoder: EncoderFrame,
  parameter: (name: string) => Tensor,
  builder: PlanBuilder,
): PlanValue => planTransform("pooler", planPooling(hidden, pooling, builder), pooler, encoder, parameter, builder);

/** The same in an ONNX graph. -> [batch, pooled] */
export const onnxPooler = (
  hidden: OnnxValue,
  { pooling, pooler }: PoolerConfig,
  encoder: EncoderFrame,
  access: OnnxHeadAccess,
): OnnxValue => onnxTransform("pooler", onnxPooling(hidden, pooling, access.graph), pooler, encoder, access);

/** BERT's pooler alone. */
export const pooler = defineHead({
  schema: z.strictObject({ type: z.literal("pooler"), ...poolerFields }),
  bind: (config, encoder) => ({
    parameters: poolerSpecs(config, encoder),
    forward: (hidden, batch, _labels, context) => ({ pooled: pool(hidden, batch, config, encoder, context) }),
    plan: (hidden, parameter, builder) => planPooler(hidden, config, encoder, parameter, builder),
    fromPlan: (pooled) => ({ pooled }),
    onnx: (hidden, access) => ({
      last_hidden_state: { value: hidden, per: "token", width: encoder.hiddenSize },
      pooler_output: {
        value: onnxPooler(hidden, config, encoder, access),
        per: "sequence",
        width: pooledSize(config, encoder),
      },
    }),
  }),
});

/** Hidden states only. */
export const none = defineHead({
  schema: z.strictObject({ type: z.literal("none") }),
  bind: (_, { hiddenSize }) => ({
    parameters: [],
    forward: () => ({}),
    onnx: (hidden) => ({ last_hidden_state: { value: hidden, per: "token", width: hiddenSize } }),
  }),
});
