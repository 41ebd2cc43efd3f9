// How a model says which terms a text is about: a kind of sparse encoder.
import type { Tensor } from "@cloze/tensor";
import type { EncoderOptions } from "../../encoder/encoder.js";
import type { TextBatch } from "../embedder.js";

/** What stands between an encoder and the weights of terms. */
export interface SparseWeighting {
  readonly type: "splade" | "unicoil";
  /** What it learns beside the encoder, by name. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /**
   * Weights of at least 0 from what the encoder made of a batch, with gradients where recorded.
   * hidden: [tokens, hidden] -> [sequences, vocabulary]
   */
  weigh(hidden: Tensor, batch: TextBatch, options?: EncoderOptions): Tensor;
  dispose(): void;
}
