// What stands on an encoder: a head declares its configuration, its parameters, and what it makes of the hidden states.
import {
  linear,
  type PlanBuilder,
  type PlanValue,
  type RowLoss,
  segmentMax,
  segmentMean,
  type Tensor,
  take,
  tensor,
} from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../encoder/batch.js";
import type { EncoderConfig } from "../encoder/config.js";
import { unplanned } from "../encoder/norm.js";
import type { OnnxValue } from "../encoder/onnx.js";
import type { ParameterSpec } from "../encoder/part.js";
import { ClozeError } from "../errors.js";
import type { OnnxHeadAccess, OnnxOutputs } from "./head-onnx.js";

/** What a loss is computed from; each head reads its own fields. Without them there is no loss. */
export interface Labels {
  /**
   * Masked and causal language models, token classification: int32 [tokens], -100 where nothing is asked. Sequence
   * classification: int32 [sequences]; several labels at once: float32 [sequences x labels] of 0 and 1; regression:
   * float32 [sequences x labels].
   */
  readonly labels?: Int32Array | Float32Array;
  /** Masked language models: the rows of the batch to predict; logits are computed for these only. [rows] */
  readonly rows?: Int32Array;
  /** The ids that stood in these rows. [rows] */
  readonly targets?: Int32Array;
  /**
   * The loss is wanted, not the logits: those of many rows over a vocabulary are then never there all at once
   * (`linearCrossEntropy`), and the output has none. Heads with few classes give them all the same. Default false.
   */
  readonly lossOnly?: boolean;
  /**
   * With `lossOnly`: what heads that predict tokens make of each row's cross-entropy. hidden: of these rows; of `labels`,
   * all tokens, or where the next token is predicted those that have one which counts. [rows, hidden]
   */
  readonly rowLoss?: (hidden: Tensor) => RowLoss;
  /** 0: the second text follows the first; 1: it does not (ALBERT: they stand in the wrong order). [sequences] */
  readonly nextSentence?: Int32Array;
  /** Multiple choice: the sequences of question q are groups[q] to groups[q + 1]; then `labels` counts inside them. */
  readonly groups?: Int32Array;
  /** Classifiers: what the loss of each class (several labels at once: of each label that is there) is multiplied by. [labels] */
  readonly classWeights?: Float32Array;
  /** Question answering: places of the answer in each sequence; outside of it (or negative): not counted. [sequences] */
  readonly starts?: Int32Array;
  readonly ends?: Int32Array;
}

export interface HeadOutput {
  /** A scalar, when labels were given. */
  readonly loss?: Tensor;
  /** [tokens or rows, vocabulary], [sequences, labels] or [tokens, labels] */
  readonly logits?: Tensor;
  /** The first token of each sequence through the pooler. [sequences, hidden] */
  readonly pooled?: Tensor;
  /** [sequences, 2] */
  readonly nextSentenceLogits?: Tensor;
  /** Of a conditional random field, whose `logits` are emissions; see `crfLogPartition`. [labels + 2, labels] */
  readonly transitions?: Tensor;
  /** [tokens] */
  readonly startLogits?: Tensor;
  readonly endLogits?: Tensor;
}

/** What a head can reach. */
export interface HeadContext {
  /** One of the head's own parameters. */
  parameter(name: string): Tensor;
  /** The word embeddings, for tied decoders. [vocabulary, hidden] */
  wordTable(): Tensor;
  readonly training: boolean;
  readonly seed: number;
}

/** A head with its configuration, for one encoder. */
export interface BoundHead {
  readonly parameters: readonly ParameterSpec[];
  /** hidden: [tokens, hidden] */
  forward(hidden: Tensor, batch: EncoderBatch, labels: Labels, context: HeadContext): HeadOutput;
  /** The loss of language models on chosen rows only. */
  maskedLanguageLoss?(hidden: Tensor, rows: Int32Array, targets: Int32Array, context: HeadContext): Tensor;
  /** The largest logit of each sequence for each token of the vocabulary: [sequences, vocabulary] */
  peaks?(hidden: Tensor, batch: EncoderBatch, context: HeadContext): Tensor;
  /** The tokens that mixers with global tokens take where the batch names none. [tokens] */
  globalTokens?(batch: EncoderBatch): Uint8Array;
  /** Its logits in a plan; absent: plans end at the hidden states. @throws PLAN_UNSUPPORTED */
  plan?(
    hidden: PlanValue,
    parameter: (name: string) => Tensor,
    builder: PlanBuilder,
    wordTable: () => Tensor,
  ): PlanValue;
  /** What `plan` gave, as `forward` gives it; absent: logits. values: [tokens or sequences, width] */
  fromPlan?(values: Tensor, context: HeadContext): HeadOutput;
  /** Its outputs in an ONNX graph; absent: models are exported without. hidden: [batch, sequence, hidden] */
  onnx?(hidden: OnnxValue, access: OnnxHeadAccess): OnnxOutputs;
}

export interface HeadPart<Schema extends z.ZodType> {
  readonly schema: Schema;
  bind(config: z.output<Schema>, encoder: EncoderConfig): BoundHead;
}

/** Lets TypeScript infer the schema of a head. */
export const defineHead = <Schema extends z.ZodType>(part: HeadPart<Schema>): HeadPart<Schema> => part;

/** `<name>.weight` [outputs, inputs] and `<name>.bias` [outputs]. */
export const denseSpecs = (name: string, outputs: number, inputs: number): ParameterSpec[] => [
  { name: `${name}.weight`, shape: [outputs, inputs], initial: "normal" },
  { name: `${name}.bias`, shape: [outputs], initial: "zeros" },
];

/** x weight^T + bias with the parameters of that name. */
export const dense = (
  name: string,
  x: Tensor,
  { parameter }: HeadContext,
  options?: Parameters<typeof linear>[3],
): Tensor => linear(x, parameter(`${name}.weight`), parameter(`${name}.bias`), options);

/** How a sequence becomes one vector. */
export const poolingSchema = z.enum(["first", "last", "mean", "max"]);

function checkNoneEmpty({ offsets }: EncoderBatch): void {
  for (let s = 0; s + 1 < offsets.length; s++) {
    if (offsets[s + 1] > offsets[s]) continue;
    throw new ClozeError("EMPTY_SEQUENCE", `Sequence ${s} has no token to stand for it`, {
      remedy: "Encode texts with their special tokens, or leave empty ones out.",
    });
  }
}

const poolings: Readonly<Record<z.output<typeof poolingSchema>, (hidden: Tensor, offsets: Int32Array) => Tensor>> = {
  first: (hidden, offsets) => take(hidden, tensor(offsets.slice(0, -1))),
  last: (hidden, offsets) => take(hidden, tensor(offsets.slice(1).map((end) => end - 1))),
  mean: (hidden, offsets) => segmentMean(hidden, tensor(offsets)),
  max: (hidden, offsets) => segmentMax(hidden, tensor(offsets)),
};

/** A dense layer with the parameters of that name, in a plan. Heads stay in float32 whatever the encoder is made of. */
export const planDense = (
  name: string,
  x: PlanValue,
  parameter: (name: string) => Tensor,
  builder: PlanBuilder,
  options: Parameters<PlanBuilder["linear"]>[3] = {},
): PlanValue =>
  builder.linear(x, parameter(`${name}.weight`), parameter(`${name}.bias`), { ...options, weights: "float32" });

/** One vector for each sequence, in a plan. @throws PLAN_UNSUPPORTED */
export function planPooling(
  hidden: PlanValue,
  pooling: z.output<typeof poolingSchema>,
  builder: PlanBuilder,
): PlanValue {
  if (pooling === "first" || pooling === "mean") return builder.pool(hidden, pooling);
  throw unplanned(`pooling by "${pooling}"`);
}

/**
 * One vector for each sequence. hidden: [tokens, hidden] -> [sequences, hidden]
 *
 * @throws EMPTY_SEQUENCE
 */
export function poolTokens(hidden: Tensor, batch: EncoderBatch, pooling: z.output<typeof poolingSchema>): Tensor {
  checkNoneEmpty(batch);
  // Padding that is not seen stands behind the tokens of its sequence, and counts for no pooling.
  const { visible, offsets } = batch;
  if (visible === undefined || pooling === "first") return poolings[pooling](hidden, offsets);
  const rows = Array.from(visible, (seen, s) => Array.from({ length: seen }, (_, i) => offsets[s] + i));
  const ends = new Int32Array(offsets.length);
  visible.forEach((seen, s) => {
    ends[s + 1] = ends[s] + seen;
  });
  return poolings[pooling](take(hidden, tensor(Int32Array.from(rows.flat()))), ends);
}

/** Throws LABELS_SHAPE unless there are as many labels as wanted. */
export function checkCount(what: string, labels: ArrayLike<number>, expected: number): void {
  if (labels.length === expected) return;
  throw new ClozeError("LABELS_SHAPE", `${what} do not fit the batch`, {
    expected: String(expected),
    received: String(labels.length),
  });
}

/** Class labels as int32; throws LABELS_KIND for other numbers. */
export function classLabels(what: string, labels: Int32Array | Float32Array): Int32Array {
  if (labels instanceof Int32Array) return labels;
  throw new ClozeError("LABELS_KIND", `${what} are classes`, {
    expected: "an Int32Array",
    received: "a Float32Array",
  });
}
