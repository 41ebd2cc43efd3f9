// Where an answer starts and ends in its sequence.
import {
  add,
  concat,
  dropout,
  linear,
  logSoftmax,
  mul,
  reshape,
  slice,
  sum,
  type Tensor,
  take,
  tensor,
  transpose,
} from "@cloze/tensor";
import { z } from "zod";
import { activationSchema } from "../encoder/activation.js";
import type { EncoderBatch } from "../encoder/batch.js";
import type { EncoderConfig } from "../encoder/config.js";
import { applyNorm, normSpecs, planNorm, unplanned } from "../encoder/norm.js";
import { onnxNorm, unexported } from "../encoder/onnx.js";
import { ClozeError } from "../errors.js";
import { checkCount, defineHead, dense, denseSpecs, type HeadContext, planDense } from "./head.js";
import { onnxDense, onnxTransform } from "./head-onnx.js";
import { applyTransform, planTransform, transformSchema, transformSpecs } from "./head-transform.js";
import { separatorPlaces, tokensWhere } from "./separator.js";

/** Mean over the counted starts, and over the counted ends, averaged. logits: [tokens, 2] */
function spanLoss(logits: Tensor, { offsets }: EncoderBatch, starts: Int32Array, ends: Int32Array): Tensor {
  const places = [starts, ends];
  const counts = (s: number, column: number): boolean =>
    places[column][s] >= 0 && places[column][s] < offsets[s + 1] - offsets[s];
  const totals = [0, 1].map((column) => starts.reduce((total, _, s) => total + Number(counts(s, column)), 0));
  const chosen: Tensor[] = [];
  const weights: number[] = [];
  for (let s = 0; s + 1 < offsets.length; s++) {
    const columns = [0, 1].filter((column) => counts(s, column));
    if (columns.length === 0) continue;
    const length = offsets[s + 1] - offsets[s];
    const rows = transpose(slice(logits, [{ start: offsets[s], end: offsets[s + 1] }])); // [2, length]
    const at = Int32Array.from(columns, (column) => column * length + places[column][s]);
    chosen.push(take(reshape(logSoftmax(rows), [2 * length]), tensor(at)));
    weights.push(...columns.map((column) => -0.5 / totals[column]));
  }
  if (chosen.length === 0) return mul(sum(logits), 0);
  return sum(mul(concat(chosen, 0), tensor(Float32Array.from(weights))));
}

const schema = z.strictObject({
  type: z.literal("question-answering"),
  transform: transformSchema.default(null),
  /** Before the two scores; in the feed-forward, where there is one. */
  dropout: z.number().min(0).lt(1).default(0),
  /** A layer of the head's own (BigBird): norm(x + W2 act(W1 x)). */
  feedForward: z
    .strictObject({ intermediateSize: z.int().min(1), activation: activationSchema.default("gelu") })
    .nullable()
    .default(null),
  /** The id of the token behind the question; the tokens before the first one are the question, and global tokens. */
  separatorId: z.int().min(0).optional(),
  /** No answer starts or ends in the question; the first token stays, for "no answer". */
  maskQuestion: z.boolean().default(false),
});
type Config = z.output<typeof schema>;

/** norm(x + dropout(W2 act(W1 dropout(x)))). x: [tokens, hidden] */
function feedForward(
  x: Tensor,
  { feedForward: layer, dropout: rate }: Config,
  encoder: EncoderConfig,
  context: HeadContext,
) {
  if (layer === null) return context.training ? dropout(x, rate, context.seed) : x;
  const { parameter, training, seed } = context;
  const drop = (input: Tensor, place: number): Tensor => (training ? dropout(input, rate, seed ^ place) : input);
  const inner = dense("intermediate", drop(x, 0), context, { activation: layer.activation });
  const outer = drop(linear(inner, parameter("output.weight"), parameter("output.bias")), 0x5bd1e995);
  return applyNorm(outer, (part) => parameter(`outputNorm.${part}`), encoder, x);
}

/** Logits without those of the question. logits: [tokens, 2] */
function withoutQuestion(logits: Tensor, batch: EncoderBatch, separatorId: number): Tensor {
  const ends = separatorPlaces(batch, separatorId);
  const masked = tokensWhere(batch, (place, s) => place > 0 && place <= ends[s]);
  const penalties = Float32Array.from(masked, (isQuestion) => -1e6 * isQuestion);
  return add(logits, tensor(penalties, [masked.length, 1]));
}

/** logits: [tokens, 2] -> starts and ends, [tokens] each */
function columnsOf(logits: Tensor) {
  const column = (i: number) => reshape(slice(logits, [{}, { start: i, end: i + 1 }]), [logits.shape[0]]);
  return { startLogits: column(0), endLogits: column(1) };
}

/**
 * Extractive question answering: logits over the tokens of each sequence for the start and the end of the answer. Labels
 * are `starts` and `ends`, counted from the start of each sequence.
 */
export const questionAnswering = defineHead({
  schema,
  bind: (config, encoder) => ({
    parameters: [
      ...transformSpecs("transform", config.transform, encoder, encoder.hiddenSize),
      ...(config.feedForward === null
        ? []
        : [
            ...denseSpecs("intermediate", config.feedForward.intermediateSize, encoder.hiddenSize),
            ...denseSpecs("output", encoder.hiddenSize, config.feedForward.intermediateSize),
            ...normSpecs("outputNorm", encoder.hiddenSize, encoder),
          ]),
      ...denseSpecs("span", 2, encoder.hiddenSize),
    ],
    forward(hidden, batch, { starts, ends }, context) {
      const transformed = applyTransform("transform", hidden, config.transform, encoder, context);
      const all = dense("span", feedForward(transformed, config, encoder, context), context); // [tokens, 2]
      const { separatorId, maskQuestion } = config;
      const logits = maskQuestion && separatorId !== undefined ? withoutQuestion(all, batch, separatorId) : all;
      const output = columnsOf(logits);
      if (starts === undefined && ends === undefined) return output;
      if (starts === undefined || ends === undefined) {
        throw new ClozeError("LABELS_SHAPE", "An answer has a start and an end", {
          received: starts === undefined ? "ends only" : "starts only",
        });
      }
      checkCount("Starts of answers", starts, batch.offsets.length - 1);
      checkCount("Ends of answers", ends, batch.offsets.length - 1);
      return { ...output, loss: spanLoss(logits, batch, starts, ends) };
    },
    // The scores of starts and ends side by side. -> [tokens, 2]
    plan(hidden, parameter, builder) {
      if (config.maskQuestion) throw unplanned("answers that are kept out of the question");
      let state = planTransform("transform", hidden, config.transform, encoder, parameter, builder);
      if (config.feedForward !== null) {
        const { activation } = config.feedForward;
        const inner = planDense("intermediate", state, parameter, builder, { activation });
        const sum = planDense("output", inner, parameter, builder, { residual: state });
        state = planNorm(sum, (part) => parameter(`outputNorm.${part}`), encoder, builder);
      }
      return planDense("span", state, parameter, builder);
    },
    fromPlan: columnsOf,
    onnx(hidden, access) {
      const { graph, parameter } = access;
      if (config.maskQuestion) throw unexported("answers that are kept out of the question");
      let state = onnxTransform("transform", hidden, config.transform, encoder, access);
      if (config.feedForward !== null) {
        const inner = onnxDense("intermediate", state, access, { activation: config.feedForward.activation });
        const sum = graph.node("Add", [onnxDense("output", inner, access), state]);
        state = onnxNorm(sum, (part) => parameter(`outputNorm.${part}`), encoder, graph);
      }
      const [start, end] = graph
        .split(onnxDense("span", state, access), [1, 1], 2)
        .map((column) => graph.node("Squeeze", [column, graph.integers([2])]));
      return { start_logits: { value: start, per: "token" }, end_logits: { value: end, per: "token" } };
    },
    globalTokens(batch) {
      const ends = separatorPlaces(batch, config.separatorId);
      return tokensWhere(batch, (place, s) => place < ends[s]);
    },
  }),
});
