// From the vectors of a document's passages to one vector (PARADE, Li 2020, arXiv 2008.09093). A new way is an entry here.
import {
  concat,
  div,
  exp,
  linear,
  mul,
  relu,
  segmentMax,
  segmentMean,
  segmentSum,
  sub,
  type Tensor,
  take,
  tensor,
} from "@cloze/tensor";
import { uniformEncoder } from "../../encoder/config.js";
import { createEncoder } from "../../encoder/encoder.js";
import { createParameters, lookUp, type ParameterSource } from "../../encoder/parameters.js";
import type { ParameterSpec } from "../../encoder/part.js";
import { deriveSeed } from "../../encoder/seeds.js";

export const passageAggregations = ["avg", "max", "sum", "attention", "cnn", "transformer"] as const;
export type PassageVectorAggregation = (typeof passageAggregations)[number];

export interface AggregatorOptions {
  readonly training?: boolean;
  readonly seed?: number;
}

export interface PassageAggregator {
  readonly type: PassageVectorAggregation;
  /** What it learns, by name. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** [passages, hidden] -> [documents, hidden]; where the passages of each document begin: [documents + 1] */
  forward(vectors: Tensor, offsets: Int32Array, options?: AggregatorOptions): Tensor;
  dispose(): void;
}

export interface AggregatorShape {
  readonly hiddenSize: number;
  readonly heads: number;
  /** Passages of a document at most. */
  readonly passages: number;
  /** Of "transformer". */
  readonly layers: number;
  readonly dropout: number;
}

const nothing = { parameters: new Map<string, Tensor>(), dispose() {} };

const pooled =
  (pool: (x: Tensor, offsets: Tensor) => Tensor): PassageAggregator["forward"] =>
  (vectors, offsets) =>
    pool(vectors, tensor(offsets));

/** Parameters of one's own, with their end. */
function owned(specs: readonly ParameterSpec[], source: ParameterSource, initializerRange = 0.02) {
  const parameters = createParameters(specs, source, initializerRange);
  return {
    parameters,
    dispose() {
      for (const value of parameters.values()) value.dispose();
    },
  };
}

/** Sum of the passages by softmax(w . p). */
function attention({ hiddenSize }: AggregatorShape, source: ParameterSource): Omit<PassageAggregator, "type"> {
  const own = owned([{ name: "attention.weight", shape: [1, hiddenSize], initial: "normal" }], source);
  return {
    ...own,
    forward(vectors, offsets) {
      const ends = tensor(offsets);
      const scores = linear(vectors, lookUp(own.parameters, "attention.weight")); // [passages, 1]
      const documents = Int32Array.from({ length: vectors.shape[0] }, () => 0);
      for (let d = 0; d + 1 < offsets.length; d++) documents.fill(d, offsets[d], offsets[d + 1]);
      const weights = exp(sub(scores, take(segmentMax(scores, ends), tensor(documents))));
      return div(segmentSum(mul(vectors, weights), ends), segmentSum(weights, ends));
    },
  };
}

/** Windows of two passages become one, until there is one; where their number is odd, the last one meets zeros. */
function cnn({ hiddenSize, passages }: AggregatorShape, source: ParameterSource): Omit<PassageAggregator, "type"> {
  const levels = Math.max(1, Math.ceil(Math.log2(passages)));
  const own = owned(
    Array.from({ length: levels }, (_, level): ParameterSpec[] => [
      { name: `convolutions.${level}.weight`, shape: [hiddenSize, 2 * hiddenSize], initial: "normal" },
      { name: `convolutions.${level}.bias`, shape: [hiddenSize], initial: "zeros" },
    ]).flat(),
    source,
    // Layers of ReLU keep the size of what goes through them.
    1 / Math.sqrt(hiddenSize),
  );
  return {
    ...own,
    forward(vectors, offsets) {
      let [x, ends] = [vectors, offsets];
      for (let level = 0; level < levels; level++) {
        const zeros = x.shape[0];
        const left: number[] = [];
        const right: number[] = [];
        const next = new Int32Array(ends.length);
        for (let d = 0; d + 1 < ends.length; d++) {
          for (let i = ends[d]; i < ends[d + 1]; i += 2) {
            left.push(i);
            right.push(i + 1 < ends[d + 1] ? i + 1 : zeros);
          }
          next[d + 1] = left.length;
        }
        const padded = concat([x, tensor(new Float32Array(hiddenSize), [1, hiddenSize])], 0);
        const windows = concat(
          [left, right].map((rows) => take(padded, tensor(Int32Array.from(rows)))),
          1,
        );
        const parameter = (name: string) => lookUp(own.parameters, `convolutions.${level}.${name}`);
        x = relu(linear(windows, parameter("weight"), parameter("bias")));
        ends = next;
      }
      return x;
    },
  };
}

/** Layers over [a learned vector; the passages], of which the first is taken. */
function transformer(shape: AggregatorShape, source: ParameterSource): Omit<PassageAggregator, "type"> {
  const { hiddenSize, heads, layers, dropout } = shape;
  const encoder = createEncoder(
    uniformEncoder({
      // Row 0 is the learned vector; passages are words beyond the table. All have the same position: their order says nothing.
      vocabularySize: 1,
      segmentVocabularySize: 0,
      padId: null,
      maxPositions: 1,
      hiddenSize,
      heads,
      layers,
      dropout,
      intermediateSize: 4 * hiddenSize,
    }),
    source,
  );
  return {
    parameters: encoder.parameters,
    forward(vectors, offsets, { training, seed } = {}) {
      const documents = offsets.length - 1;
      const ids: number[] = [];
      const starts = new Int32Array(offsets.length);
      for (let d = 0; d < documents; d++) {
        ids.push(0);
        for (let i = offsets[d]; i < offsets[d + 1]; i++) ids.push(i + 1);
        starts[d + 1] = ids.length;
      }
      const zeros = () => new Int32Array(ids.length);
      const batch = {
        ids: Int32Array.from(ids),
        segments: zeros(),
        positions: zeros(),
        offsets: starts,
        extraWords: vectors,
      };
      return take(encoder.forward(batch, { training, seed }).hidden, tensor(starts.slice(0, documents)));
    },
    dispose: () => encoder.dispose(),
  };
}

const makers: Readonly<
  Record<PassageVectorAggregation, (shape: AggregatorShape, source: ParameterSource) => Omit<PassageAggregator, "type">>
> = {
  avg: () => ({ ...nothing, forward: pooled(segmentMean) }),
  max: () => ({ ...nothing, forward: pooled(segmentMax) }),
  sum: () => ({ ...nothing, forward: pooled(segmentSum) }),
  attention,
  cnn,
  transformer,
};

/** Makes an aggregator: new by a seed, or with the parameters that `load` gives. */
export const createPassageAggregator = (
  type: PassageVectorAggregation,
  shape: AggregatorShape,
  source: ParameterSource = { seed: deriveSeed(1, "passages") },
): PassageAggregator => ({ type, ...makers[type](shape, source) });
