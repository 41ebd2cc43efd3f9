// The upper level of a document encoder: vectors of sentence blocks to one vector of the document (SMITH, arXiv 2004.12297).
import {
  add,
  concat,
  div,
  exp,
  linear,
  mul,
  relu,
  scope,
  segmentMean,
  segmentSum,
  sqrt,
  sum,
  type Tensor,
  take,
  tensor,
} from "@cloze/tensor";
import { z } from "zod";
import { type EncoderConfig, uniformEncoder } from "./config.js";
import { createEncoder, type Encoder } from "./encoder.js";
import { createParameters, lookUp, type ParameterSource } from "./parameters.js";
import type { ParameterSpec } from "./part.js";
import { parseConfig } from "./registry.js";
import { deriveSeed } from "./seeds.js";

export const documentLevelSchema = z.strictObject({
  block: z.int().min(4).default(32).describe("tokens of a block, its three special ones included (32)"),
  maxBlocks: z.int().min(1).default(64).describe("blocks of a document at most (64: 2,048 tokens)"),
  /** They are as wide as the sentence encoder. */
  document: z
    .strictObject({
      layers: z.int().min(1).default(3),
      /** Default: those of the sentence encoder's width, 64 numbers each. */
      heads: z.int().min(1).optional(),
      /** Default: twice the width. */
      intermediateSize: z.int().min(1).optional(),
      dropout: z.number().min(0).lt(1).default(0.1),
    })
    .prefault({})
    .describe('the layers over blocks: {"layers":3,"heads":4,"intermediateSize":512,"dropout":0.1}'),
  pool: z
    .strictObject({
      /** The first block's state stands for the document: there is no block of its own for it. */
      type: z.literal("first").default("first"),
      /**
       * What becomes of a pooled state (dense, tanh): a dense layer, with ReLU ("relu-l2", the released checkpoint's form) or
       * without, then length 1. With ReLU no cosine is negative, and training from nothing may end with all vectors 0.
       */
      head: z.enum(["l2", "relu-l2"]).default("l2"),
      /** The document's vector alone, or with the blocks' sum, mean or weighted sum before it. Only blocks that are there. */
      combine: z.enum(["normal", "sum-concat", "mean-concat", "attention"]).default("normal"),
      /** Of "attention". */
      attentionSize: z.int().min(1).default(256),
    })
    .prefault({})
    .describe('what becomes of their states: {"head":"l2" or "relu-l2","combine":"normal"}'),
});
export type DocumentLevelConfig = z.output<typeof documentLevelSchema>;
export type DocumentLevelInput = z.input<typeof documentLevelSchema>;

export interface DocumentLevelOptions {
  readonly training?: boolean;
  readonly seed?: number;
  /** Blocks in whose place the one learned vector stands, by their number in the batch. */
  readonly masked?: Int32Array;
}

export interface DocumentLevel {
  readonly config: DocumentLevelConfig;
  /** Reads vectors instead of words: its word table holds the vector of masked blocks alone. */
  readonly encoder: Encoder;
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Length of a document's vector. */
  readonly width: number;
  /** Vectors of blocks from the states of their tokens, length 1. [tokens, hidden] -> [blocks, hidden] */
  blockVectors(hidden: Tensor, offsets: Int32Array): Tensor;
  /** What the upper layers make of the vectors of blocks. [blocks, hidden] -> [blocks, hidden] */
  states(vectors: Tensor, documents: Int32Array, options?: DocumentLevelOptions): Tensor;
  /** Vectors of documents from those of their blocks. [blocks, hidden] -> [documents, width] */
  documentVectors(vectors: Tensor, documents: Int32Array, options?: DocumentLevelOptions): Tensor;
  dispose(): void;
}

/** A document's vector is this many times as wide as the encoder. */
const widths = { normal: 1, "sum-concat": 2, "mean-concat": 2, attention: 2 } as const;

function headSpecs({ pool }: DocumentLevelConfig, hiddenSize: number): ParameterSpec[] {
  const dense = (name: string, outputs: number, inputs: number): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [outputs, inputs], initial: "normal" },
    { name: `${name}.bias`, shape: [outputs], initial: "zeros" },
  ];
  return [
    ...["blockPooler", "blockOutput", "pooler", "output"].flatMap((name) => dense(name, hiddenSize, hiddenSize)),
    ...(pool.combine === "attention"
      ? [
          ...dense("attention", pool.attentionSize, hiddenSize),
          { name: "attention.vector", shape: [1, pool.attentionSize], initial: "normal" as const },
        ]
      : []),
  ];
}

/** x / |x|; zeros stay zeros. x: [rows, width] */
const unitRows = (x: Tensor): Tensor => div(x, sqrt(add(sum(mul(x, x), [1], true), 1e-12)));

/** The first row of each segment. */
const firstRows = (x: Tensor, ends: Int32Array): Tensor => take(x, tensor(ends.slice(0, -1)));

/**
 * Makes the upper level for a sentence encoder: new by a seed, or with the parameters that `load` gives.
 *
 * @throws CONFIG_INVALID, WEIGHT_SHAPE
 */
export function createDocumentLevel(
  input: DocumentLevelInput,
  sentence: EncoderConfig,
  source: ParameterSource,
): DocumentLevel {
  const config: DocumentLevelConfig = parseConfig(documentLevelSchema, input, "The document level");
  const { hiddenSize, initializerRange, norm, normBias, normEpsilon } = sentence;
  const { pool, document, maxBlocks } = config;
  const load = (prefix: string, own: string): ParameterSource =>
    "load" in source
      ? { seed: deriveSeed(source.seed ?? 1, own), load: (name) => source.load(`${prefix}${name}`) }
      : { seed: deriveSeed(source.seed, own) };
  const encoder = createEncoder(
    uniformEncoder({
      // Row 0 is the vector of masked blocks; blocks are words beyond the table.
      vocabularySize: 1,
      segmentVocabularySize: 0,
      padId: null,
      hiddenSize,
      layers: document.layers,
      heads: document.heads ?? Math.max(1, Math.round(hiddenSize / 64)),
      intermediateSize: document.intermediateSize ?? 2 * hiddenSize,
      dropout: document.dropout,
      maxPositions: Math.max(128, maxBlocks),
      initializerRange,
      norm,
      normBias,
      normEpsilon,
    }),
    load("encoder.", "document-level"),
  );
  let heads: Map<string, Tensor>;
  try {
    heads = createParameters(headSpecs(config, hiddenSize), load("head.", "document-heads"), initializerRange);
  } catch (error) {
    encoder.dispose();
    throw error;
  }
  const parameters = new Map<string, Tensor>();
  for (const [name, value] of encoder.parameters) parameters.set(`encoder.${name}`, value);
  for (const [name, value] of heads) parameters.set(`head.${name}`, value);
  const dense = (name: string, x: Tensor, activation?: "tanh"): Tensor =>
    linear(x, lookUp(heads, `${name}.weight`), lookUp(heads, `${name}.bias`), activation && { activation });
  /** l2norm(W tanh(W_p x + b_p) + b), with ReLU where the head has it. */
  const finish = (x: Tensor, pooler: string, output: string): Tensor => {
    const y = dense(output, dense(pooler, x, "tanh"));
    return unitRows(pool.head === "relu-l2" ? relu(y) : y);
  };
  const states: DocumentLevel["states"] = (vectors, documents, { training, seed, masked } = {}) => {
    const blocks = vectors.shape[0];
    const ids = Int32Array.from({ length: blocks }, (_, i) => i + 1);
    for (const block of masked ?? []) ids[block] = 0;
    const positions = new Int32Array(blocks);
    for (let d = 0; d + 1 < documents.length; d++) {
      for (let i = documents[d]; i < documents[d + 1]; i++) positions[i] = i - documents[d];
    }
    const segments = new Int32Array(blocks);
    const batch = { ids, segments, positions, offsets: documents, extraWords: vectors };
    return encoder.forward(batch, { training, seed }).hidden;
  };
  /** Sum of the blocks by a = softmax_i(v . tanh(W s_i + b)). */
  const attended = (vectors: Tensor, ends: Tensor): Tensor => {
    const scores = linear(dense("attention", vectors, "tanh"), lookUp(heads, "attention.vector")); // [blocks, 1]
    // The scores are bounded by |v|: no maximum need be taken off.
    const weights = exp(scores);
    return div(segmentSum(mul(vectors, weights), ends), segmentSum(weights, ends));
  };
  const before = {
    "sum-concat": (vectors: Tensor, ends: Tensor) => segmentSum(vectors, ends),
    "mean-concat": (vectors: Tensor, ends: Tensor) => segmentMean(vectors, ends),
    attention: attended,
  };
  return {
    config,
    encoder,
    parameters,
    width: hiddenSize * widths[pool.combine],
    blockVectors: (hidden, offsets) => scope(() => finish(firstRows(hidden, offsets), "blockPooler", "blockOutput")),
    states,
    documentVectors: (vectors, documents, options) =>
      scope(() => {
        const own = finish(firstRows(states(vectors, documents, options), documents), "pooler", "output");
        if (pool.combine === "normal") return own;
        return concat([before[pool.combine](vectors, tensor(documents)), own], 1);
      }),
    dispose() {
      encoder.dispose();
      for (const value of heads.values()) value.dispose();
    },
  };
}
