// Texts to sparse vectors over a vocabulary, as an encoder that is trained, saved and searched with.
import { copyInto, noGrad, ones, scope, type Tensor, tensor } from "@cloze/tensor";
import { groupByTokenBudget } from "../../data/packed-batch.js";
import type { EncoderOptions } from "../../encoder/encoder.js";
import type { Model } from "../../families/model.js";
import type { SparseVector } from "../../retrieval/learned-sparse/impact-index.js";
import { sparseVector } from "../../retrieval/learned-sparse/splade.js";
import type { Tokenizer } from "../../text/index.js";
import { createEmbedder, type TextBatch, type TrainableEncoder } from "../embedder.js";
import { createDense, type EmbedderModule } from "../modules/index.js";
import type { TextCounts, TextRoles } from "../text-roles.js";
import { spladeWeighting } from "./splade.js";
import { unicoilWeighting } from "./unicoil.js";
import type { SparseWeighting } from "./weighting.js";

export interface SparseEncoderOptions {
  /** "splade" (default) needs a masked-language head and finds words that a text does not use; "unicoil" weighs those it does. */
  weighting?: SparseWeighting["type"];
  /** Of SPLADE: "max" (default) or "sum". */
  pooling?: "max" | "sum";
  /** False: each term of a query weighs 1, and no model reads queries (SPLADE-doc). Default true. */
  encodeQueries?: boolean;
  /** Tokens of a text at most; default 256, or as many as the model has positions. */
  maxLength?: number;
  /** Of uniCOIL: hidden size -> 1 with ReLU; default: a new one. The encoder owns it. */
  projection?: EmbedderModule;
  seed?: number;
}

export interface SparseEncodeOptions {
  role?: keyof TextRoles;
  /** Terms of a vector at most, the heaviest; all unless told. */
  most?: number;
  /** Tokens per forward pass. Default 2048; 512 where SPLADE sums, where each makes a row as wide as the vocabulary. */
  tokenBudget?: number;
  /** Receives what was cut. */
  counts?: TextCounts;
}

/** An encoder of texts as weighted terms. `trainEmbedder` trains it, with the loss `splade`. */
export interface SparseEncoder extends TrainableEncoder {
  readonly tokenizer: Tokenizer;
  readonly weighting: SparseWeighting;
  readonly settings: Required<Omit<SparseEncoderOptions, "seed" | "projection" | "weighting">> &
    Pick<SparseEncoderOptions, "projection">;
  /** Sparse vectors of texts, in their order. */
  encode(texts: readonly string[], options?: SparseEncodeOptions): SparseVector[];
  dispose(): void;
}

/** A bias of 1: every token counts at first, where half of them would begin below 0, and learn nothing. */
function newProjection(inputSize: number, seed?: number): EmbedderModule {
  const projection = createDense({ inputSize, outputSize: 1, activation: "ReLU" }, seed);
  scope(() => copyInto(projection.parameters.get("linear.bias") as Tensor, ones([1])));
  return projection;
}

/**
 * Puts a model, a tokenizer and a way of weighing terms together.
 *
 * @throws SPLADE_HEAD, EMBEDDER_VOCABULARY
 * @example
 * const encoder = createSparseEncoder(loadModel("bert-base-uncased"), tokenizer);
 * await trainEmbedder(encoder, pairs, { loss: "splade", steps: 1000 });
 * const index = createImpactIndex(encoder.encode(documents));
 */
export function createSparseEncoder(
  model: Model,
  tokenizer: Tokenizer,
  options: SparseEncoderOptions = {},
): SparseEncoder {
  const { maxPositions, hiddenSize, vocabularySize } = model.encoder.config;
  const { pooling = "max", encodeQueries = true, weighting: type = "splade" } = options;
  const maxLength = Math.min(options.maxLength ?? 256, maxPositions > 0 ? maxPositions : 512);
  const projection = type === "splade" ? undefined : (options.projection ?? newProjection(hiddenSize, options.seed));
  const weighting =
    projection === undefined
      ? spladeWeighting(model, pooling)
      : unicoilWeighting(model, projection, tokenizer.specialIds);
  const texts = createEmbedder(model, tokenizer, { maxLength, normalize: false });
  const parameters = new Map(model.encoder.parameters);
  for (const [name, value] of weighting.parameters) parameters.set(`head.${name}`, value);

  /** 1 for each term that is there. */
  const counted = ({ ids, offsets }: TextBatch): Tensor => {
    const sequences = offsets.length - 1;
    const weights = new Float32Array(sequences * vocabularySize);
    for (let s = 0; s < sequences; s++)
      for (let i = offsets[s]; i < offsets[s + 1]; i++)
        if (!tokenizer.specialIds.has(ids[i])) weights[s * vocabularySize + ids[i]] = 1;
    return tensor(weights, [sequences, vocabularySize]);
  };
  const isCounted = ({ role }: TextBatch): boolean => role === "query" && !encodeQueries;
  const embedBatch = (batch: TextBatch, how?: EncoderOptions): Tensor =>
    isCounted(batch)
      ? counted(batch)
      : scope(() => weighting.weigh(model.encoder.forward(batch, how).hidden, batch, how));
  /** The encoder as a plan, which embedders know to keep up with the weights. */
  const weighPlanned = (batch: TextBatch): Tensor =>
    isCounted(batch) ? counted(batch) : weighting.weigh(texts.hiddenOf(batch), batch);
  const usualBudget = type === "splade" && pooling === "sum" ? 512 : 2048;
  const packTokens: SparseEncoder["packTokens"] = (ids, kind = {}) => ({
    ...texts.packTokens(ids, kind),
    role: kind.role,
  });
  return {
    model,
    tokenizer,
    weighting,
    settings: { pooling, encodeQueries, maxLength, projection },
    options: { normalize: false },
    parameters,
    width: vocabularySize,
    tokenize: texts.tokenize,
    packTokens,
    embedBatch,
    poolTokens: texts.poolTokens,
    encode(all, { role = "document", most = Number.POSITIVE_INFINITY, tokenBudget = usualBudget, counts } = {}) {
      const ids = texts.tokenize(all, { role }, counts);
      const vectors: SparseVector[] = new Array(all.length);
      for (const group of groupByTokenBudget(
        ids.map(({ length }) => length),
        tokenBudget,
      )) {
        const batch = packTokens(
          group.map((i) => ids[i]),
          { role },
        );
        const rows = scope(() => noGrad(() => weighPlanned(batch)).toTypedArray() as Float32Array);
        group.forEach((text, row) => {
          vectors[text] = sparseVector(rows.subarray(row * vocabularySize, (row + 1) * vocabularySize), most);
        });
      }
      return vectors;
    },
    dispose() {
      weighting.dispose();
      texts.dispose();
    },
  };
}
