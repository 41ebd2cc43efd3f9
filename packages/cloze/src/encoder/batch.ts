import type { PackedBatch } from "../data/packed-batch.js";

/** A packed batch as the encoder takes it. */
export interface EncoderBatch extends PackedBatch {
  /**
   * How many leading tokens of each sequence can be looked at. The tokens after them look but are not seen, as padding
   * does in libraries that pad. Default: all. [sequences]
   */
  readonly visible?: Int32Array;
}
