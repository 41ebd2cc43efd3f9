// What fills a slot of the encoder. A part declares its configuration, its parameters and its forward pass; whoever builds
// the encoder asks for no part by name.
import type { ActivationName, PlanBatch, PlanBuilder, PlanValue, Random, Shape, Tensor } from "@cloze/tensor";
import type { z } from "zod";
import type { EncoderBatch } from "./batch.js";
import type { NormConfig } from "./norm.js";
import type { OnnxAccess, OnnxGraph, OnnxValue } from "./onnx.js";
import type { CodeForm } from "./weights/group-codes.js";

/** How a parameter starts: "normal" has the deviation `initializerRange` of the encoder. */
export type Initial = "normal" | "zeros" | "ones" | ((shape: Shape, random: Random) => Tensor);

/** A parameter before it exists. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: Shape;
  readonly initial: Initial;
  /** See `parameter` of @cloze/tensor. */
  readonly sparseRows?: boolean;
  /** Files hold codes of few bits instead, where they may. */
  readonly codes?: CodeForm;
}

/** A matrix that a part multiplies with; how it is stored is the choice of a weight part. */
export interface MatrixSpec {
  readonly name: string;
  readonly outputs: number;
  readonly inputs: number;
  readonly bias: boolean;
  /** True for the last matrix of a residual branch: it starts at 0 where `residualInit` is "zero". */
  readonly residual?: boolean;
  /** Default "normal". */
  readonly initial?: Initial;
}

/** The configuration of the weights of a part, by the name of the matrix. */
export interface WithWeights {
  readonly weights?: Readonly<Record<string, { readonly type: string }>>;
}

/** What a weight part is told about a multiplication. */
export interface WeightOptions {
  readonly activation?: ActivationName;
  /** A seed for random choices in training; absent at evaluation. */
  readonly seed?: number;
}

/** A weight part with its configuration, for one matrix. */
export interface BoundWeight {
  readonly parameters: readonly ParameterSpec[];
  /** activation(x matrix^T + bias). x: [tokens, inputs] -> [tokens, outputs] */
  linear(x: Tensor, parameter: (name: string) => Tensor, options: WeightOptions): Tensor;
  /** Outputs start to end alone, without the work of the others; absent: they are cut out of all. -> [tokens, end - start] */
  part?(x: Tensor, parameter: (name: string) => Tensor, start: number, end: number): Tensor;
  /** The same in a plan, with a residual; absent: models with this part run without plans. */
  plan?(
    x: PlanValue,
    parameter: (name: string) => Tensor,
    options: { activation?: ActivationName; residual?: PlanValue },
    builder: PlanBuilder,
  ): PlanValue;
  /** The same in an ONNX graph; absent: models with this part are not exported. */
  onnx?(
    x: OnnxValue,
    parameter: (name: string) => Tensor,
    options: { activation?: ActivationName },
    graph: OnnxGraph,
  ): OnnxValue;
}

/** What the plan of a part can reach. */
export interface PlanAccess {
  readonly builder: PlanBuilder;
  /** As in `SlotAccess`; the last matrix of a residual branch adds what the branch took, where the layer asks for it. */
  linear(matrix: string, x: PlanValue, options?: { activation?: ActivationName }): PlanValue;
  parameter(name: string): Tensor;
  shared(name: string): Tensor;
  /** One of the part's matrices times what no batch changes, while the plan is made. x: [rows, inputs] */
  fixed(matrix: string, x: Tensor): Tensor;
  /** The plan computes what the part does for batches of which this is true; others run through the engine. */
  onlyFor(takes: PlanCondition): void;
}

/** What a plan asks of a batch. */
export type PlanCondition = (batch: EncoderBatch) => boolean;

/** What parts may know of the encoder around them. */
export interface EncoderFrame extends NormConfig {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly maxPositions: number;
  readonly segmentVocabularySize: number;
  readonly padId: number | null;
}

/** Some of the outputs of a matrix, for some rows of what it takes (default: all). */
export interface OutputPart {
  readonly start: number;
  readonly end: number;
  readonly rows?: Int32Array;
}

/** What the forward pass of a part can reach. */
export interface SlotAccess {
  /** Multiplies with one of the part's matrices. x: [tokens, inputs] -> [tokens, outputs] */
  linear(matrix: string, x: Tensor, options?: { activation?: ActivationName }): Tensor;
  /** Parts of the same product, without the work of the rest where the weights allow it. -> each [rows, end - start] */
  linearParts(matrix: string, x: Tensor, parts: readonly OutputPart[]): Tensor[];
  /** One of the part's vectors. */
  parameter(name: string): Tensor;
  /** One of the parameters that the part shares with its like in other layers. */
  shared(name: string): Tensor;
}

/** What a part kept of earlier tokens, where a batch goes on from a cache. Sequences are those of the batch. */
export interface SlotCache {
  /** Tokens of a sequence that were read before. */
  length(sequence: number): number;
  /**
   * Keeps rows of the new tokens of a sequence behind those of earlier ones; gives a view of all, which the caller need not free.
   * rows: [new, width] -> [earlier + new, width]
   */
  extend(sequence: number, rows: Tensor): Tensor;
}

/** What the forward pass of a part is told about the call. */
export interface SlotContext {
  readonly batch: EncoderBatch;
  /** int32 [sequences + 1] */
  readonly offsets: Tensor;
  readonly training: boolean;
  /** The batch holds new tokens only, which go on from these. Parts with a `cacheWidth` heed it; others never see one. */
  readonly cache?: SlotCache;
  /** Is shown what each matrix takes, by its path in the encoder. */
  readonly observe?: (path: string, x: Tensor) => void;
  /** Is shown what a router makes of tokens: logits [units, experts], and the unit of each token. [tokens] */
  readonly observeRouter?: (logits: Tensor, units: Int32Array) => void;
  /** A seed for random choices at a place of this layer; differs by call, layer and place. */
  seed(place: string): number;
  /** Plain data (no tensors) that depends on the batch alone, computed once for all layers. */
  once<T>(key: string, make: () => T): T;
}

/** What parts declare that work on each token by itself. */
export const insideToken = { heedsContext: true, unordered: true, cacheWidth: 0 } as const;

/** A part with its configuration and the width around it. */
export interface BoundSlot {
  readonly matrices: readonly MatrixSpec[];
  /** Parameters that are no matrices. */
  readonly vectors?: readonly ParameterSpec[];
  /** Parameters that the encoder has once, for all layers whose part declares the same. */
  readonly shared?: readonly ParameterSpec[];
  /** True for a part that does nothing: the layer has no such branch, nor its norm. */
  readonly absent?: true;
  /**
   * Tokens that a batch calls unseen are seen by themselves alone, and see all others, wherever they stand. Default: not so, or
   * not wherever they stand.
   */
  readonly hides?: true;
  /** Tokens look at no others than those that a batch's `context` names. Default: such batches are refused. */
  readonly heedsContext?: true;
  /** Knows no order: where tokens change their places, what they become changes places with them. Default: not so. */
  readonly unordered?: true;
  /**
   * Earlier tokens do not change with later ones, and later ones need no more of each than a row of so many numbers, which
   * `forward` keeps in the context's `cache` (0: nothing). Default: later tokens need the earlier ones themselves, so that
   * decoders with such a part read the whole text for each token.
   */
  readonly cacheWidth?: number;
  /**
   * Multiplications and additions of a forward pass over a sequence of that length, besides those with matrices.
   *
   * @param looked tokens that are looked at, where a batch's `context` says so; default all
   */
  flops?(length: number, looked?: number): number;
  /** x: [tokens, hidden] -> [tokens, hidden], without residual or norm. */
  forward(x: Tensor, access: SlotAccess, context: SlotContext): Tensor;
  /** The same in a plan; what it gives is the matrix that is declared `residual`. Absent: models with this part run without. */
  plan?(x: PlanValue, access: PlanAccess): PlanValue;
  /** The same in an ONNX graph. x: [batch, sequence, hidden]. Absent: models with this part are not exported. */
  onnx?(x: OnnxValue, access: OnnxAccess): OnnxValue;
}

/** A part for a slot: `mixers/` (between tokens) and `channels/` (inside a token). */
export interface SlotPart<Schema extends z.ZodType> {
  readonly schema: Schema;
  bind(config: z.output<Schema>, hiddenSize: number, encoder: EncoderFrame): BoundSlot;
}

/** Embeddings with their configuration, for one encoder. */
export interface BoundEmbeddings {
  readonly parameters: readonly ParameterSpec[];
  /** Width of the table of words, which tied decoders share; 0: there is none. */
  readonly wordWidth: number;
  /** Knows no order: the vector of a token follows from the token, not from its place. Default: not so. */
  readonly unordered?: true;
  /** The vector of a token follows from its id, its segment and its place alone. Default: not so. */
  readonly byToken?: true;
  /** Rows and columns of places, where every sequence ends with all of them (patches of images). Default: there is no such grid. */
  readonly grid?: readonly [number, number];
  /** Throws where a batch does not fit, before anything is computed. */
  check(batch: EncoderBatch): void;
  /**
   * The vectors that the first layer takes. -> [tokens, hidden]
   *
   * @param parameters by their names in `parameters`
   * @param dropoutSeed undefined outside of training
   */
  forward(batch: EncoderBatch, parameters: ReadonlyMap<string, Tensor>, dropoutSeed: number | undefined): Tensor;
  /** The same in a plan; absent: models with these embeddings run without. */
  plan?(parameters: ReadonlyMap<string, Tensor>, builder: PlanBuilder): PlanValue;
  /** What the plan takes for a batch. Default: the batch's own integers. */
  planBatch?(batch: EncoderBatch): PlanBatch;
  /** The same in an ONNX graph, from its inputs. -> [batch, sequence, hidden]. Absent: models with these are not exported. */
  onnx?(parameters: ReadonlyMap<string, Tensor>, graph: OnnxGraph): OnnxValue;
}

/** A part that makes vectors of the input: `embeddings/`. */
export interface EmbeddingsPart<Schema extends z.ZodType> {
  readonly schema: Schema;
  bind(config: z.output<Schema>, encoder: EncoderFrame): BoundEmbeddings;
}

/** A part for the storage of a matrix: `weights/`. */
export interface WeightPart<Schema extends z.ZodType> {
  readonly schema: Schema;
  bind(config: z.output<Schema>, matrix: MatrixSpec): BoundWeight;
}

/** Lets TypeScript infer the schema of a mixer or channel part. */
export const defineSlot = <Schema extends z.ZodType>(part: SlotPart<Schema>): SlotPart<Schema> => part;

/** Lets TypeScript infer the schema of embeddings. */
export const defineEmbeddings = <Schema extends z.ZodType>(part: EmbeddingsPart<Schema>): EmbeddingsPart<Schema> =>
  part;

/** Lets TypeScript infer the schema of a weight part. */
export const defineWeight = <Schema extends z.ZodType>(part: WeightPart<Schema>): WeightPart<Schema> => part;
