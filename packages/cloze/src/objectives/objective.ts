// What a model is asked to predict without labels: an objective declares its options, checks that they go with a model,
// and makes a batch and a loss. Whoever trains asks for no objective by name.
import type { Tensor } from "@cloze/tensor";
import type { z } from "zod";
import type { DocumentSource } from "../data/document-source.js";
import type { PackedBatch } from "../data/packed-batch.js";
import type { RandomSource } from "../data/random-source.js";
import type { DataWarnings } from "../data/readers/index.js";
import type { EncoderBatch } from "../encoder/batch.js";
import type { EncoderConfig } from "../encoder/config.js";
import type { Encoder, EncoderOptions, EncoderOutput } from "../encoder/encoder.js";
import { ClozeError } from "../errors.js";
import type { Head, HeadConfig, HeadOutput, Labels } from "../heads/index.js";
import type { MaskingVocabulary } from "./masking.js";

/** What objectives ask of a tokenizer: `Tokenizer` is one. */
export interface ObjectiveVocabulary extends MaskingVocabulary {
  readonly clsId: number;
  readonly sepId: number;
}

/** An encoder with its head, as objectives see it. `Model` is one. */
export interface ObjectiveModel {
  readonly encoder: Encoder;
  readonly head: Head;
  forward(batch: EncoderBatch, options?: EncoderOptions & Labels): EncoderOutput & HeadOutput;
}

/** What an objective is made for. */
export interface ObjectiveFrame {
  readonly model: ObjectiveModel;
  readonly vocabulary: ObjectiveVocabulary;
  /** Longest sequence of a batch, special tokens included. */
  readonly maxLength: number;
  /** Tokens that a batch should have. */
  readonly batchTokens: number;
  /** For parameters that are made beside the model. */
  readonly seed: number;
  /** Documents of the corpus without special tokens, for objectives that count them before the run. Each call reads anew. */
  readonly texts?: () => Iterable<ArrayLike<number>>;
  /** For what is odd about the options and the corpus but stops nothing. */
  readonly warnings?: DataWarnings;
}

/** For encoders that read no words (images): there is no id. */
export const noVocabulary: ObjectiveVocabulary = {
  vocabularySize: 0,
  clsId: -1,
  sepId: -1,
  maskId: -1,
  specialIds: new Set(),
};

/** What a loss depends on besides the batch. */
export interface LossContext {
  /** Differs for every batch, the same in a resumed run: for dropout, and for choices that need the model or the state. */
  readonly seed: number;
  /** Optimizer steps before this one. */
  readonly step: number;
  /** False to measure: no dropout, no random choices that only serve training. Default true. */
  readonly training?: boolean;
  /** See `EncoderOptions.recompute`. */
  readonly recompute?: boolean;
}

/** An objective with its options, for one model. */
export interface Objective<Prepared = unknown> {
  /** Trained beside the model and dropped when it is saved, by names that begin with the objective's type. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** What changes as the run goes without being trained (counts of errors); checkpoints hold it. */
  readonly state: ReadonlyMap<string, Tensor>;
  /** For input "sequences": hides, replaces, swaps. The batch stays as it is. */
  prepare?(batch: PackedBatch, random: RandomSource): Prepared;
  /** For input "documents": the examples of a batch, from the documents at these positions and, as negatives, any others. */
  draw?(documents: DocumentSource, positions: Int32Array, random: RandomSource): Prepared;
  /** A scalar to go back from. Runs inside a scope. */
  loss(prepared: Prepared, context: LossContext): Tensor;
  /** Called after each optimizer step, for schedules and state. */
  afterStep?(step: number): void;
  /** Tokens that the model reads in a batch. */
  tokens(prepared: Prepared): number;
  /** Multiplications and additions of the forward and backward pass of a batch, matrices and attention. */
  flops(prepared: Prepared): number;
  /** Writes what is kept with the model, though it stands beside it, into the model's folder. */
  save?(folder: string): void;
  /** Frees `parameters` and `state`; the model stays. */
  dispose(): void;
}

/** Objectives without modules or state of their own. */
export const nothingBeside = {
  parameters: new Map<string, Tensor>(),
  state: new Map<string, Tensor>(),
  dispose() {},
} as const;

/** A way to pre-train: `objectives/`. */
export interface ObjectivePart<Schema extends z.ZodType = z.ZodType> {
  readonly schema: Schema;
  /** One line for lists and help. */
  readonly description: string;
  /** Other names that the field uses, with the options that they stand for: `{ mlm: {}, slm: { maskShare: 0, … } }`. */
  readonly aliases?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** "sequences": tokens in a row are enough; "documents": it needs their paragraphs and sentences. */
  readonly input: "sequences" | "documents";
  /** It asks nothing of words: encoders without a vocabulary may be trained. Default: they are refused. */
  readonly wordless?: true;
  /** The class of the models that it trains: "ForMaskedLM". */
  readonly architecture: string;
  /** Types of heads that it can train; the first one is that of `architecture`. */
  readonly heads: readonly HeadConfig["type"][];
  /**
   * Refuses what cannot combine, before there is a model.
   *
   * @throws OBJECTIVE_COMBINATION
   */
  check?(config: z.output<Schema>, encoder: EncoderConfig): void;
  create(config: z.output<Schema>, frame: ObjectiveFrame): Objective;
}

/** Lets TypeScript infer the schema of an objective. The batches of an objective are its own business. */
export const defineObjective = <Schema extends z.ZodType, Prepared>(
  part: Omit<ObjectivePart<Schema>, "create"> & {
    create(config: z.output<Schema>, frame: ObjectiveFrame): Objective<Prepared>;
  },
): ObjectivePart<Schema> => part as unknown as ObjectivePart<Schema>;

/** An objective and a model that do not go together. */
export const cannotCombine = (message: string, details: { expected?: string; received?: string; remedy?: string }) =>
  new ClozeError("OBJECTIVE_COMBINATION", message, details);

/** The loss of a head that was given what it needs. */
export function lossOf({ loss }: HeadOutput): Tensor {
  if (loss !== undefined) return loss;
  throw new ClozeError("HEAD_MISMATCH", "This model's head has no such loss", {
    remedy: "Make or load the model with the class that the objective names.",
  });
}
