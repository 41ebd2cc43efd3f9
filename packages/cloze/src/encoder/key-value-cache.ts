// What an encoder keeps of tokens that it read, so that later ones go on from there: keys and values of each layer.
import { copyInto, empty, scope, slice, type Tensor } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import type { EncoderBatch } from "./batch.js";
import type { Encoder, EncoderOptions } from "./encoder.js";
import type { SlotCache } from "./part.js";

/** Rows of one sequence in one layer. [capacity, width]; the first `length` of them are read. */
interface Rows {
  tensor: Tensor | undefined;
}

/**
 * Keys and values of the tokens that an encoder read, by layer and sequence, outside of the JavaScript heap. Give it to
 * `Encoder.forward` with new tokens only; `dispose` frees it.
 */
export interface KeyValueCache {
  /** Tokens that were read, by sequence. */
  readonly lengths: readonly number[];
  /**
   * Sequence i becomes what sequence from[i] was, which may be named never or several times. What is named first moves; only
   * the rest is copied.
   *
   * @throws CACHE_SEQUENCE
   */
  reorder(from: ArrayLike<number>): void;
  /** What a layer's parts see of it. For the encoder. */
  ofLayer(layer: number): SlotCache;
  /** Counts the tokens of a batch as read, once every layer has them. For the encoder. */
  advance(batch: EncoderBatch): void;
  /** Frees it. Calling it twice is fine. */
  dispose(): void;
}

const leastRows = 32;

/** Copies the first so many rows into a tensor of its own, that lives until it is disposed. */
function grown(rows: Tensor | undefined, used: number, capacity: number, width: number): Tensor {
  const larger = empty([capacity, width]).keep("scratch");
  if (rows !== undefined && used > 0) scope(() => copyRows(larger, 0, slice(rows, [{ end: used }])));
  return larger;
}

const copyRows = (target: Tensor, start: number, rows: Tensor): void =>
  scope(() => copyInto(slice(target, [{ start, end: start + rows.shape[0] }]), rows));

/**
 * An empty cache. Its memory grows with the tokens: for each, the encoder's `cacheWidths` in float32 (GPT-2 small: 72 KiB).
 *
 * @param sequences how many texts are read side by side. Default 1
 * @throws CONFIG_UNSUPPORTED where a part of the encoder needs the earlier tokens themselves
 * @example
 * const cache = createKeyValueCache(encoder);
 * encoder.forward(packSequences([{ ids: prompt }]), { cache });
 * encoder.forward(packSequences([{ ids: [next] }]), { cache }); // [1, hidden]: one row through the layers
 * cache.dispose();
 */
export function createKeyValueCache({ cacheWidths }: Encoder, sequences = 1): KeyValueCache {
  if (cacheWidths === undefined) {
    throw new ClozeError("CONFIG_UNSUPPORTED", "This encoder cannot go on from a cache", {
      expected: "causal attention, channels inside tokens, and embeddings that follow from each token alone",
      remedy: "Read the whole text again.",
    });
  }
  const emptyRows = (): Rows[] => cacheWidths.map(() => ({ tensor: undefined }));
  let lengths = new Array<number>(sequences).fill(0);
  // [sequences][layers]
  let stored = Array.from({ length: sequences }, emptyRows);
  return {
    get lengths() {
      return lengths;
    },
    reorder(from) {
      const sources = Array.from(from);
      const wrong = sources.find((source) => !(source in stored));
      if (wrong !== undefined) {
        throw new ClozeError("CACHE_SEQUENCE", "The cache holds no such sequence", {
          expected: `0 to ${stored.length - 1}`,
          received: String(wrong),
        });
      }
      const moved = new Set<number>();
      const next = sources.map((source) => {
        if (!moved.has(source)) {
          moved.add(source);
          return stored[source];
        }
        const used = lengths[source];
        return stored[source].map(({ tensor }, layer) => ({
          tensor: tensor && grown(tensor, used, tensor.shape[0], cacheWidths[layer]),
        }));
      });
      stored.forEach((layers, source) => {
        if (!moved.has(source)) for (const { tensor } of layers) tensor?.dispose();
      });
      lengths = sources.map((source) => lengths[source]);
      stored = next;
    },
    ofLayer: (layer) => ({
      length: (sequence) => lengths[sequence],
      extend(sequence, rows) {
        const place = stored[sequence][layer];
        const used = lengths[sequence];
        const needed = used + rows.shape[0];
        if (place.tensor === undefined || place.tensor.shape[0] < needed) {
          const before = place.tensor;
          place.tensor = grown(before, used, Math.max(needed, leastRows, 2 * used), cacheWidths[layer]);
          before?.dispose();
        }
        copyRows(place.tensor, used, rows);
        return slice(place.tensor, [{ end: needed }]);
      },
    }),
    advance({ offsets }) {
      lengths = lengths.map((length, s) => length + offsets[s + 1] - offsets[s]);
    },
    dispose() {
      for (const { tensor } of stored.flat()) tensor?.dispose();
      stored = [];
      lengths = [];
    },
  };
}

const heeded = new Set(["ids", "segments", "positions", "offsets"]);

/**
 * A batch of new tokens with the places that they have behind those that were read.
 *
 * @throws BATCH_SHAPE where the batch does not fit the cache, INVALID_OPTION where an option does not go with one
 */
export function continuedBatch(batch: EncoderBatch, cache: KeyValueCache, options: EncoderOptions): EncoderBatch {
  const { lengths } = cache;
  const { offsets, positions } = batch;
  const beside = Object.entries(batch).find(([field, value]) => value !== undefined && !heeded.has(field));
  if (offsets.length - 1 !== lengths.length || beside !== undefined) {
    throw new ClozeError("BATCH_SHAPE", "From a cache go on the new tokens of each of its sequences", {
      expected: `${lengths.length} sequences, all of whose tokens see those before them`,
      received: beside === undefined ? `${offsets.length - 1} sequences` : `a batch with ${beside[0]}`,
    });
  }
  const { training, recompute, depth, resume } = options;
  if (training || recompute || depth !== undefined || resume !== undefined) {
    throw new ClozeError("INVALID_OPTION", "With a cache, all layers run, and nothing is trained", {
      received: Object.entries({ training, recompute, depth, resume })
        .flatMap(([name, value]) => (value ? [name] : []))
        .join(", "),
      remedy: "Leave these options out.",
    });
  }
  const places = positions.slice();
  lengths.forEach((length, s) => {
    for (let row = offsets[s]; row < offsets[s + 1]; row++) places[row] += length;
  });
  return { ...batch, positions: places };
}
