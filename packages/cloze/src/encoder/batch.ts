import { type Tensor, tensor } from "@cloze/tensor";
import type { PackedBatch } from "../data/packed-batch.js";
import { ClozeError } from "../errors.js";

/** A packed batch as the encoder takes it. */
export interface EncoderBatch extends PackedBatch {
  /**
   * How many leading tokens of each sequence can be looked at. The tokens after them look but are not seen, as padding
   * does in libraries that pad. Default: all. [sequences]
   */
  readonly visible?: Int32Array;
  /** How many leading tokens of each sequence all of it sees, where attention has the direction "prefix". Default: 0. [sequences] */
  readonly prefixes?: Int32Array;
  /** 1: a token that no other token looks at; it sees itself and the rest. Only attention heeds it. Default: none. [tokens] */
  readonly unseen?: Uint8Array;
  /**
   * 1: a token that is looked at; tokens look at these alone, and those that are none do not see themselves either (MP3).
   * Encoders with a part that does not heed it refuse the batch. Default: all. [tokens]
   */
  readonly context?: Uint8Array;
  /**
   * Vectors of words beside the word table: ids from the vocabulary's size on are their rows. For what is read in training
   * only. [words, width of the word table]
   */
  readonly extraWords?: Tensor;
  /** 1: a token that all tokens of its sequence look at, and that looks at all (Longformer). Default: none. [tokens] */
  readonly globalTokens?: Uint8Array;
  /**
   * The length that a library that pads would have given all sequences. Only mixers whose pattern follows from it (BigBird)
   * ask; default: each sequence has its own.
   */
  readonly paddedLength?: number;
  /** Which expert each sequence goes to, where a channel has experts that are given. [sequences] */
  readonly routes?: Int32Array;
  /** What stands in place of ids where the input is no text: pixels, [images x channels x height x width]. */
  readonly values?: Float32Array;
}

/** @throws BATCH_SHAPE unless `context` names at least one token of each sequence that can be looked at */
export function checkContext({ ids, offsets, context, visible }: EncoderBatch): void {
  if (context === undefined) return;
  const alone = Array.from({ length: offsets.length - 1 }, (_, s) => s).find((s) => {
    const end = visible === undefined ? offsets[s + 1] : offsets[s] + visible[s];
    return offsets[s + 1] > offsets[s] && !context.subarray(offsets[s], end).includes(1);
  });
  if (context.length === ids.length && alone === undefined) return;
  throw new ClozeError("BATCH_SHAPE", "context says of each token whether it is looked at", {
    expected: `${ids.length} numbers, with a 1 in each sequence`,
    received: context.length === ids.length ? `none in sequence ${alone}` : `${context.length} numbers`,
  });
}

/** 1 for tokens that are seen, 0 for the others. [tokens, 1] */
export function seenTokens({ ids, offsets }: EncoderBatch, visible: Int32Array): Tensor {
  const seen = new Float32Array(ids.length);
  visible.forEach((count, s) => {
    seen.fill(1, offsets[s], offsets[s] + count);
  });
  return tensor(seen, [ids.length, 1]);
}
