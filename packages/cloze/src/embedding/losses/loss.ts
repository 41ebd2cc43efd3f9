// What a loss over the vectors of texts is.
import type { Tensor } from "@cloze/tensor";
import type { z } from "zod";

/**
 * What a row of training data holds:
 * - "pair": texts that belong together, perhaps with texts that do not: anchor, positive, negatives
 * - "triplet": anchor, positive, one negative
 * - "scored-pair": two texts and a number, more is nearer
 * - "binary-pair": two texts and 1 (alike) or 0
 * - "class-pair": two texts and a class (entailment, contradiction …)
 * - "labelled-text": a text and its class
 * - "margin": query, positive, negatives, and a teacher's scores or differences of scores
 * - "vector": texts and a teacher's vector
 */
export type RowShape =
  | "pair"
  | "triplet"
  | "scored-pair"
  | "binary-pair"
  | "class-pair"
  | "labelled-text"
  | "margin"
  | "vector";

/** The vectors of a batch. */
export interface LossInput {
  /** One per column of texts: [rows, width]. The third holds all negatives, and may have more or fewer rows. */
  readonly columns: readonly Tensor[];
  /** `labelWidth` numbers a row. */
  readonly labels?: Float32Array;
  readonly labelWidth?: number;
  /** Differs for each step, the same in a resumed run. */
  readonly seed: number;
  /** Steps that are done. Default 0. */
  readonly step?: number;
  /** Where each text's rows begin in each column, where texts have a vector for each token. [texts + 1] */
  readonly offsets?: readonly Int32Array[];
  /** The texts of each column, where the loss asks for them. */
  readonly texts?: readonly (readonly string[])[];
  /** The columns at each depth below the last one, where the loss asks for them: depths[l][column]; 0 is the embeddings. */
  readonly depths?: readonly (readonly Tensor[])[];
}

/** A loss, ready to be computed. */
export interface EmbeddingLoss {
  /** What the loss itself learns (a classifier), by name. */
  readonly parameters?: ReadonlyMap<string, Tensor>;
  /** True where the length of vectors does not matter: they need not be normalised first. */
  readonly scaleInvariant: boolean;
  /** Which fields of the input it wants beyond the columns. */
  readonly needs?: { readonly texts?: boolean; readonly depths?: boolean; readonly offsets?: boolean };
  /** -> one number */
  forward(input: LossInput): Tensor;
}

/** A loss by its name, or with its options. */
export type LossConfig = string | ({ readonly type: string } & Readonly<Record<string, unknown>>);

/** What a loss may know of the embedder and the data. */
export interface LossSetup {
  /** Length of a vector. */
  readonly width: number;
  /** Layers of the encoder. */
  readonly layers: number;
  /** Classes of "class-pair" rows. */
  readonly classes?: number;
  readonly seed: number;
  /** Steps of the run, where they are known. */
  readonly steps?: number;
  /** Vectors of a guiding model, [texts, its width], without gradients. */
  readonly guide?: (texts: readonly string[]) => Tensor;
  /** Makes the loss that this one wraps. */
  readonly base: (config: LossConfig) => EmbeddingLoss;
}

/** A kind of loss. */
export interface EmbeddingLossKind {
  readonly type: string;
  /** Other names that people know it by. */
  readonly aliases?: readonly string[];
  /** One line for help and tables. */
  readonly description: string;
  /** "any": that of the loss it wraps (`base`). */
  readonly rows: RowShape | "any";
  /** Queries and documents play different parts. */
  readonly search: boolean;
  /** False: it cannot be computed in parts (GradCache), since it asks for more than the vectors. Default true. */
  readonly cacheable?: boolean;
  /** What is to be known and said where a run's steps are not known before it ends; undefined where it does not matter. */
  unknownLength?(settings: Readonly<Record<string, unknown>>): string | undefined;
  /** Settings with their defaults and descriptions. */
  readonly options: z.ZodObject;
  /** @throws INVALID_OPTION */
  create(settings: Readonly<Record<string, unknown>>, setup: LossSetup): EmbeddingLoss;
}

/** Ties a loss to its settings' types. */
export const defineLoss = <Schema extends z.ZodObject>(
  kind: Omit<EmbeddingLossKind, "options" | "create"> & {
    options: Schema;
    create(settings: z.output<Schema>, setup: LossSetup): EmbeddingLoss;
  },
): EmbeddingLossKind => kind as unknown as EmbeddingLossKind;
