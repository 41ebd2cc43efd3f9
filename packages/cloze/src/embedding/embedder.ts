// Texts to vectors: tokenizer, encoder, pooling, and what batches need.
import { empty, noGrad, scope, type Tensor, tensor } from "@cloze/tensor";
import { groupByTokenBudget, type PackedBatch } from "../data/packed-batch.js";
import type { EncoderOptions } from "../encoder/encoder.js";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/model.js";
import { type CompiledModel, compile } from "../inference/compile.js";
import { normalizeRows } from "../objectives/contrastive.js";
import type { Tokenizer } from "../text/index.js";
import { type Pooling, pool } from "./pooling.js";
import { packIds, type TextRoles, tokenizeTexts } from "./text-roles.js";

export interface EmbedderOptions {
  /** Default "mean". */
  pooling?: Pooling;
  /** Scale vectors to length 1, so that inner products are cosines. Default true. */
  normalize?: boolean;
  /** Tokens of a text at most, special tokens included. Default: as many as the model has positions. */
  maxLength?: number;
  /** Put the tokenizer's special tokens around a text. Default true. */
  specialTokens?: boolean;
  /** How queries and documents differ for the encoder. Default: not at all. */
  roles?: TextRoles;
}

export interface EmbedOptions {
  /** What the texts are. Default "document". */
  role?: keyof TextRoles;
  /** Tokens per forward pass. Default 4096. */
  tokenBudget?: number;
  /** Called after each batch with the number of texts done. */
  onProgress?: (done: number, total: number) => void;
}

/** An encoder that turns texts into vectors. */
export interface Embedder {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly options: Required<EmbedderOptions>;
  /** Length of a vector. */
  readonly width: number;
  /** Tokenizes and packs texts, as `embedBatch` wants them. */
  pack(texts: readonly string[], role?: keyof TextRoles): PackedBatch;
  /** Vectors of a batch, with gradients where recorded: [sequences, width]. Not normalised. */
  embedBatch(batch: PackedBatch, options?: EncoderOptions): Tensor;
  /** Vectors of texts, in their order: [texts, width]. Batches by length, without gradients. */
  embed(texts: readonly string[], options?: EmbedOptions): Tensor;
  dispose(): void;
}

/** A compiled model that follows the weights: it is made again after they were written. */
function freshPlan(model: Model) {
  let compiled: CompiledModel | undefined;
  let made = "";
  return {
    get(pooling: "mean" | "first"): CompiledModel {
      const versions = [...model.parameters.values()].map(({ storage }) => storage.version);
      const wanted = `${pooling} ${versions.join()}`;
      if (compiled === undefined || made !== wanted) {
        compiled?.close();
        compiled = compile(model, { output: "pooled", pooling });
        made = wanted;
      }
      return compiled;
    },
    close: () => compiled?.close(),
  };
}

/**
 * Puts a model and a tokenizer together.
 *
 * @throws EMBEDDER_VOCABULARY when the tokenizer has more entries than the model's embedding
 * @example
 * const embedder = createEmbedder(model, tokenizer, { pooling: "mean" });
 * const vectors = embedder.embed(["a small cat", "a large dog"]);
 */
export function createEmbedder(model: Model, tokenizer: Tokenizer, options: EmbedderOptions = {}): Embedder {
  const { vocabularySize, hiddenSize, maxPositions } = model.encoder.config;
  if (tokenizer.vocabularySize > vocabularySize) {
    throw new ClozeError("EMBEDDER_VOCABULARY", "The tokenizer does not fit the model", {
      expected: `at most ${vocabularySize} entries`,
      received: String(tokenizer.vocabularySize),
      remedy: "Use the tokenizer that the model was trained with.",
    });
  }
  const settings: Required<EmbedderOptions> = {
    pooling: options.pooling ?? "mean",
    normalize: options.normalize ?? true,
    maxLength: options.maxLength ?? (maxPositions > 0 ? maxPositions : 512),
    specialTokens: options.specialTokens ?? true,
    roles: options.roles ?? {},
  };
  const pack = (texts: readonly string[], role: keyof TextRoles = "document"): PackedBatch =>
    packIds(tokenizeTexts(tokenizer, texts, settings, settings.roles[role]), settings.roles[role]);
  const embedBatch: Embedder["embedBatch"] = (batch, forwardOptions) =>
    scope(() => pool(model.encoder.forward(batch, forwardOptions).hidden, batch.offsets, settings.pooling));
  const plan = freshPlan(model);
  const planned: Partial<Record<Pooling, "mean" | "first">> = { mean: "mean", cls: "first" };
  /** Without gradients: through a plan where there is one for this pooling. -> [sequences, width] */
  const pooledBatch = (batch: PackedBatch): Tensor => {
    const pooling = planned[settings.pooling];
    const filled = batch.offsets.every((end, s) => s === 0 || end > batch.offsets[s - 1]);
    if (pooling === undefined || !filled) return embedBatch(batch);
    return tensor(plan.get(pooling).runSync(batch), [batch.offsets.length - 1, hiddenSize]);
  };
  return {
    model,
    tokenizer,
    options: settings,
    width: hiddenSize,
    pack,
    embedBatch,
    embed(texts, { role = "document", tokenBudget = 4096, onProgress } = {}) {
      const result = empty([texts.length, hiddenSize]);
      // Characters tell the order well enough; tokenizing twice would not pay.
      const lengths = texts.map((text) => Math.min(settings.maxLength, 2 + Math.ceil(text.length / 3)));
      let done = 0;
      for (const group of groupByTokenBudget(lengths, tokenBudget)) {
        scope(() =>
          noGrad(() => {
            const batch = pack(
              group.map((i) => texts[i]),
              role,
            );
            const pooled = pooledBatch(batch);
            const vectors = settings.normalize ? normalizeRows(pooled) : pooled; // [group, width]
            group.forEach((text, row) => {
              const from = vectors.pointer + 4 * row * hiddenSize;
              vectors.storage.backend.copy(from, result.pointer + 4 * text * hiddenSize, hiddenSize, "float32");
            });
          }),
        );
        done += group.length;
        onProgress?.(done, texts.length);
      }
      return result;
    },
    dispose() {
      plan.close();
      model.dispose();
    },
  };
}
