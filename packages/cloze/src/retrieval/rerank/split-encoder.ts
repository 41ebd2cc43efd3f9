// PreTTR (MacAvaney 2020, arXiv 2004.14255): below a layer a query and a document do not look at each other, so that the states
// of documents are computed once and stored; the layers above read both.
import { concat, noGrad, scope, type Tensor, take, tensor } from "@cloze/tensor";
import type { PackedBatch } from "../../data/packed-batch.js";
import { packSequences } from "../../data/packed-batch.js";
import type { EncoderBatch } from "../../encoder/batch.js";
import type { Encoder, EncoderOptions, EncoderOutput } from "../../encoder/encoder.js";
import { ClozeError } from "../../errors.js";
import type { ModelOutput } from "../../families/model.js";

/** One side of a pair, read by the lower layers. */
export interface StoredText {
  readonly ids: Int32Array;
  readonly segments: Int32Array;
  readonly positions: Int32Array;
  /** What the lowest joint layer takes: [tokens x hidden] */
  readonly states: Float32Array;
}

/** A side of a pair before it is read: with its special tokens. */
export interface PairSide {
  readonly ids: ArrayLike<number>;
  /** Of all its tokens; 0 unless told. */
  readonly segment?: number;
  /** Position of its first token; 0 unless told. Documents stand behind the longest query: all at the same place. */
  readonly firstPosition?: number;
}

export interface SplitModel<Output = ModelOutput> {
  readonly layer: number;
  /** Runs the lower layers over each side alone. @throws what the encoder throws about batches */
  store(sides: readonly PairSide[]): StoredText[];
  /** Runs the upper layers, and the head, over pairs: query and document each. */
  resume(pairs: readonly (readonly [StoredText, StoredText])[]): Output & { readonly batch: PackedBatch };
  /**
   * The same in one go, without stored states.
   *
   * @param recode what storing does to the states of documents, with gradients: `StateCodec.forward`
   */
  forward(
    pairs: readonly (readonly [PairSide, PairSide])[],
    options?: { training?: boolean; seed?: number; recode?: (states: Tensor) => Tensor },
  ): Output & { readonly batch: PackedBatch };
}

/** An encoder, and what runs it: the model, or the encoder alone. */
export interface SplittableModel<Output> {
  readonly encoder: Encoder;
  forward(batch: EncoderBatch, options?: EncoderOptions): Output;
}

/**
 * A model whose layers below `layer` read the sides of a pair apart. With layer 0 it is the model itself. Train it as it will be
 * used: `forward` records gradients where they are asked for.
 *
 * Positions of documents do not depend on the query: they begin where the longest query would end (there is no padding, positions
 * between are left out), or stored states would be wrong for the next query.
 *
 * @throws DEPTH_OUT_OF_RANGE
 * @throws CONFIG_UNSUPPORTED where a lower layer mixes by something else than attention to all
 * @example
 * const split = splitAt(model, 6);
 * const stored = split.store(documents.map((ids) => ({ ids, segment: 1, firstPosition: 32 })));
 * const [query] = split.store([{ ids: queryIds }]);
 * const { logits } = split.resume(stored.map((document) => [query, document]));
 */
export function splitAt<Output extends EncoderOutput = ModelOutput>(
  model: SplittableModel<Output>,
  layer: number,
): SplitModel<Output> {
  const { layers, hiddenSize } = model.encoder.config;
  if (!(Number.isInteger(layer) && layer >= 0 && layer <= layers.length)) {
    throw new ClozeError("DEPTH_OUT_OF_RANGE", "The encoder has not so many layers", {
      expected: `0 to ${layers.length}`,
      received: String(layer),
    });
  }
  for (const { mixer } of layers.slice(0, layer)) {
    if (mixer.type === "attention") continue;
    throw new ClozeError("CONFIG_UNSUPPORTED", "Only attention reads the sides of a pair apart", {
      expected: 'mixers of the type "attention" below the split',
      received: mixer.type,
    });
  }
  /** The lower layers over sides as sequences of their own: that is what the split mask of attention means. */
  function lower(sides: readonly PairSide[], how: Pick<EncoderOptions, "training" | "seed"> = {}) {
    const batch = packSequences(
      sides.map(({ ids, segment = 0 }) => ({ ids, segments: new Int32Array(ids.length).fill(segment) })),
    );
    for (const [s, { firstPosition = 0 }] of sides.entries())
      for (let i = batch.offsets[s]; i < batch.offsets[s + 1]; i++) batch.positions[i] += firstPosition;
    const { hidden, beforeFinalNorm } = model.encoder.forward(batch, { ...how, depth: layer, hiddenStates: true });
    return { batch, states: beforeFinalNorm ?? hidden };
  }
  const upper = (batch: PackedBatch, states: Tensor, how: Pick<EncoderOptions, "training" | "seed"> = {}) => ({
    ...model.forward(batch, { ...how, resume: { layer, hidden: states } }),
    batch,
  });
  /** Every second sequence through a codec, in its place. */
  function recoded(states: Tensor, { offsets }: PackedBatch, recode: (states: Tensor) => Tensor): Tensor {
    const [queries, documents]: [number[], number[]] = [[], []];
    const places = new Int32Array(offsets[offsets.length - 1]);
    for (let s = 0; s + 1 < offsets.length; s++) {
      const rows = s % 2 === 0 ? queries : documents;
      for (let i = offsets[s]; i < offsets[s + 1]; i++) places[i] = rows.push(i) - 1;
    }
    for (const row of documents) places[row] += queries.length;
    const of = (rows: readonly number[]) => take(states, tensor(Int32Array.from(rows)));
    return take(concat([of(queries), recode(of(documents))], 0), tensor(places));
  }
  return {
    layer,
    store(sides) {
      if (sides.length === 0) return [];
      return noGrad(() =>
        scope(() => {
          const { batch, states } = lower(sides);
          const values = states.toTypedArray() as Float32Array;
          return sides.map((_, s): StoredText => {
            const [start, end] = [batch.offsets[s], batch.offsets[s + 1]];
            return {
              ids: batch.ids.slice(start, end),
              segments: batch.segments.slice(start, end),
              positions: batch.positions.slice(start, end),
              states: Float32Array.from(values.subarray(start * hiddenSize, end * hiddenSize)),
            };
          });
        }),
      );
    },
    resume: (pairs) =>
      scope(() => {
        const sides = pairs.flat();
        const apart = packSequences(sides);
        const batch: PackedBatch = {
          ...apart,
          positions: Int32Array.from(sides.flatMap(({ positions }) => [...positions])),
          offsets: apart.offsets.filter((_, side) => side % 2 === 0),
        };
        const rows = sides.map(({ ids, states }) => tensor(states, [ids.length, hiddenSize]));
        return upper(batch, concat(rows, 0));
      }),
    forward: (pairs, { recode, ...how } = {}) =>
      scope(() => {
        const { batch, states } = lower(pairs.flat(), how);
        const joint = { ...batch, offsets: batch.offsets.filter((_, side) => side % 2 === 0) };
        return upper(joint, recode === undefined ? states : recoded(states, batch, recode), how);
      }),
  };
}
