// What may stand between the encoder and the pooling of an embedder.
import type { Tensor } from "@cloze/tensor";
import type { PackedBatch } from "../../data/packed-batch.js";

/** One step from vectors of tokens to vectors of tokens, as sentence-transformers has them. */
export interface TokenModule {
  /** The class that sentence-transformers has for it: "LSTM". */
  readonly type: string;
  /** Length of a token's vector behind it. */
  readonly width: number;
  /** By the names of its file: `encoder.weight_ih_l0`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** x: [tokens, width before] -> [tokens, width]; sequences do not see each other */
  forward(x: Tensor, batch: PackedBatch): Tensor;
  /** What means over a sequence's tokens are divided by, instead of their number: [sequences, 1]. Absent: their number. */
  weightSums?(batch: PackedBatch): Tensor;
  /** What its file of settings holds. */
  config(): Record<string, unknown>;
}

/** How a kind of module is read. */
export interface TokenModuleKind {
  readonly type: string;
  /** The path of its class, without the name of the package. */
  readonly path: string;
  /** Its file of settings. */
  readonly file: string;
  /**
   * @param config what its file of settings holds
   * @param width length of the vectors that it takes
   * @param weight a tensor of the module's model.safetensors, handed over
   * @throws EMBEDDER_FILE, EMBEDDER_MODULE, and what `weight` throws
   */
  load(config: unknown, width: number, weight: (name: string) => Tensor): TokenModule;
}
