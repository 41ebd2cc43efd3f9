// What a plan is made of, and what writes one.
import type { ActivationName } from "../backend/contract/network.js";
import type { Kernels } from "../backend/contract.js";
import type { Tensor } from "../tensor.js";
import type { PlanSizes } from "./plan.js";
import type { PlanWeights } from "./products/index.js";
import type { Int4Weight } from "./products/int4.js";

/** Rows of scratch memory that a call writes and others read. */
export interface PlanValue {
  readonly kind: "numbers" | "integers";
  readonly per: "token" | "sequence";
  /** Elements of a row. */
  readonly width: number;
}

/** Columns of a value from a place on. */
export interface PlanColumns {
  readonly of: PlanValue;
  readonly from: number;
}

/** A multiple of the tokens or the sequences of a batch. */
export interface PlanCount {
  readonly count: PlanValue["per"];
  readonly times: number;
}

/** A value, some of its columns or a tensor stand for their pointers; a word or a count for a size; the rest for itself. */
export type PlanOperand = PlanValue | PlanColumns | PlanCount | Tensor | "tokens" | "sequences" | number | null;

/** What a batch gives to a plan. */
export interface PlanInputs {
  readonly ids: PlanValue;
  readonly segments: PlanValue;
  readonly positions: PlanValue;
  /** [sequences + 1] */
  readonly offsets: PlanValue;
}

export interface PlanBatch {
  readonly ids: Int32Array;
  readonly segments: Int32Array;
  readonly positions: Int32Array;
  readonly offsets: Int32Array;
  /** What the plan's `tokenValues` take. [tokens, width] */
  readonly values?: Float32Array;
}

/** A plan with its inputs and its output. */
export interface BatchPlan {
  /** -> [tokens or sequences, width] */
  run(batch: PlanBatch): Float32Array;
  /** The same on another thread, where the backend can; runs may overlap. most: threads of this run. Default: the plan's. */
  runAsync(batch: PlanBatch, most?: number): Promise<Float32Array>;
  /** Tokens of the longest sequence that it takes. */
  readonly longest: number;
  /** Numbers that a batch brings for each token; 0: it brings none. */
  readonly valueWidth: number;
  /** Bytes of scratch memory that a batch of these sizes takes. */
  bytes(sizes: PlanSizes): number;
  /** Frees weights and scratch memory. */
  close(): void;
}

export interface PlanAttentionOptions {
  readonly heads: number;
  /** Default 1 / sqrt(head size). */
  readonly scale?: number;
  readonly causal?: boolean;
  readonly window?: number;
  /** Columns of another value that the result is written to; then that is what comes back. Default: rows of its own. */
  readonly into?: PlanColumns;
}

/** Scores by distance, key minus query: row distance + span - 1 of each table. */
export interface PlanRelativeOptions {
  readonly heads: number;
  /** Of all scores. Default 1 / sqrt(head size). */
  readonly scale?: number;
  /** Added to scores. [2 span - 1, heads] */
  readonly bias?: Tensor;
  /** Multiplied with queries. [2 span - 1, heads size] */
  readonly keys?: Tensor;
  /** Multiplied with keys. [2 span - 1, heads size] */
  readonly queries?: Tensor;
  /** Tokens of the longest sequence. */
  readonly span: number;
}

/** The numbers that 8-bit codes of activations stand for; what lies outside becomes the nearest of them. */
export interface InputRange {
  readonly low: number;
  readonly high: number;
}

export interface PlanLinearOptions {
  readonly activation?: ActivationName;
  readonly residual?: PlanValue;
  /** Where activations are coded. Default: the range of each row, found at each run. */
  readonly inputRange?: InputRange;
}

export interface PlanBuilderOptions {
  /**
   * How matrices are multiplied. "int8": weights as 8-bit codes with a scale for each output, activations as 8-bit codes
   * with a scale and a zero for each row, found anew at each run; sums are exact. "sparse": matrices that hold many zeros as
   * the blocks that they have left, where that is faster on this machine (it is tried out). "sparse-int8": both. Default
   * "float32".
   */
  weights?: PlanWeights;
  /** At most so many of the backend's threads. Default 0: all. */
  threads?: number;
}

export interface PlanBuilder {
  readonly inputs: PlanInputs;
  /** Numbers that the batch brings for each token (`PlanBatch.values`), once in a plan. -> [tokens, width] */
  tokenValues(width: number): PlanValue;
  /** How matrices are multiplied that ask for nothing else. */
  readonly weights: PlanWeights;
  /** activation(x weight^T + bias) + residual. weight: [outputs, inputs] */
  linear(
    x: PlanValue,
    weight: Tensor,
    bias?: Tensor,
    options?: PlanLinearOptions & { weights?: PlanWeights },
  ): PlanValue;
  /** The same with a weight of 4-bit codes. */
  linearInt4(x: PlanValue, weight: Int4Weight, bias?: Tensor, options?: PlanLinearOptions): PlanValue;
  /** layerNorm(x + residual) */
  layerNorm(
    x: PlanValue,
    weight: Tensor,
    bias: Tensor | undefined,
    options: { epsilon: number; residual?: PlanValue },
  ): PlanValue;
  /** qkv: [tokens, 3 heads size] -> [tokens, heads size] */
  attention(qkv: PlanValue, options: PlanAttentionOptions): PlanValue;
  /** The same with scores by distance; the plan then takes sequences of at most `span` tokens. */
  relativeAttention(qkv: PlanValue, options: PlanRelativeOptions): PlanValue;
  /** The plan is for sequences of at most so many tokens. */
  limit(tokens: number): void;
  /** Rotary positions: pairs of the first `heads` groups of `size` columns turned, in place. Tables: [places, size / 2] */
  rotary(
    x: PlanValue,
    cosines: Float32Array,
    sines: Float32Array,
    places: PlanValue,
    options: { heads: number; size: number; interleaved?: boolean },
  ): PlanValue;
  /** activation(x[:, :width]) * x[:, width:] */
  gate(x: PlanValue, activation: ActivationName): PlanValue;
  /** Rows of a table, one for each row of the indices. */
  take(table: Tensor, indices: PlanValue): PlanValue;
  /** Rows of a table, each multiplied by a row of gates. */
  takeGated(table: Tensor, indices: PlanValue, gates: Tensor, gateIndices: PlanValue): PlanValue;
  /** a + b */
  add(a: PlanValue, b: PlanValue): PlanValue;
  /** The vector added to each row. */
  addVector(a: PlanValue, vector: Tensor): PlanValue;
  /** a times a number. */
  scale(a: PlanValue, factor: number): PlanValue;
  /** One vector for each sequence of token rows. */
  pool(x: PlanValue, pooling: "first" | "mean"): PlanValue;
  /** A copy of a tensor that lives as long as the plan. */
  constant(tensor: Tensor): Tensor;
  /** What all parts that ask for a key share, made for the first of them. */
  once<T>(key: string, make: () => T): T;
  /** Keeps something until the plan is closed. */
  own(release: () => void): void;
  /** Any kernel: `operands` are its arguments in order. */
  call(kernel: keyof Kernels, operands: readonly PlanOperand[], about: CallEffects): void;
  /** New rows. */
  value(width: number, per?: PlanValue["per"], kind?: PlanValue["kind"]): PlanValue;
  build(output: PlanValue, options?: { composed?: boolean }): BatchPlan;
  /** Frees what was made so far, when there will be no plan. */
  discard(): void;
}

/** Values that a call reads and writes; what is absent does not count. */
export interface CallEffects {
  readonly reads: readonly (PlanValue | undefined)[];
  readonly writes: readonly PlanValue[];
}
