// Long documents to vectors: a small encoder over each block of sentences, a second one over the blocks' vectors (SMITH,
// arXiv 2004.12297).
import { empty, noGrad, scope, type Tensor } from "@cloze/tensor";
import { groupByTokenBudget, packSequences } from "../data/packed-batch.js";
import { type BlockBatch, blockSequence, fillBlocks } from "../data/sentence-blocks.js";
import { createDocumentLevel, type DocumentLevel, type DocumentLevelInput } from "../encoder/document-level.js";
import { deriveSeed } from "../encoder/seeds.js";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/model.js";
import { normalizeRows } from "../objectives/contrastive.js";
import { splitSentences } from "../text/documents.js";
import type { Tokenizer } from "../text/index.js";
import { createEmbedder, type Embedder, type EmbedderOptions, type TextBatch } from "./embedder.js";
import { layerPoolingOf } from "./layer-pooling.js";
import { matchingDefaults } from "./losses/pair-matching.js";
import { emptyCounts, prepareText } from "./text-roles.js";

/** What an embedder of documents may be told beside its levels. */
export type DocumentEmbedderOptions = Pick<EmbedderOptions, "prompts" | "defaultPrompt" | "lowerCase" | "normalize">;

/** The blocks of a batch of documents: each begins where positions do. */
export function blocksOfBatch({ ids, segments, positions, offsets }: TextBatch): BlockBatch {
  const starts: number[] = [];
  const documents = new Int32Array(offsets.length);
  for (let d = 0; d + 1 < offsets.length; d++) {
    for (let i = offsets[d]; i < offsets[d + 1]; i++) if (positions[i] === 0) starts.push(i);
    documents[d + 1] = starts.length;
  }
  return { ids, segments, positions, offsets: Int32Array.from([...starts, ids.length]), documents };
}

/**
 * Puts a sentence encoder, its tokenizer and an upper level together; the embedder owns them. It is an embedder like others: it
 * is trained, saved, searched with and evaluated in the same ways, but reads texts of `block * maxBlocks` tokens.
 *
 * @param level a level, or what a new one shall be
 * @throws EMBEDDER_VOCABULARY, INVALID_OPTION where blocks are longer than the model's positions, CONFIG_INVALID
 * @example
 * const embedder = createDocumentEmbedder(model, tokenizer, { block: 32, maxBlocks: 64, document: { layers: 3 } });
 * const vectors = embedder.embed(documents); // [documents, width]
 */
export function createDocumentEmbedder(
  model: Model,
  tokenizer: Tokenizer,
  level: DocumentLevel | DocumentLevelInput = {},
  { seed = 1, ...options }: DocumentEmbedderOptions & { seed?: number } = {},
): Embedder {
  if (layerPoolingOf(model) !== undefined) {
    throw new ClozeError(
      "INVALID_OPTION",
      "Blocks are read by an encoder whose last layer gives the vectors of tokens",
      {
        received: "an encoder with weights of layers",
      },
    );
  }
  const upper = "blockVectors" in level ? level : createDocumentLevel(level, model.encoder.config, { seed });
  const { block, maxBlocks } = upper.config;
  const { maxPositions } = model.encoder.config;
  if (maxPositions > 0 && block > maxPositions) {
    throw new ClozeError("INVALID_OPTION", "Blocks are longer than the model's positions", {
      expected: `at most ${maxPositions} tokens`,
      received: String(block),
    });
  }
  const base = createEmbedder(model, tokenizer, { ...options, pooling: "cls", maxLength: block });
  const settings: Embedder["options"] = { ...base.options, maxLength: block * maxBlocks };
  const { width } = upper;
  const parameters = new Map(model.encoder.parameters);
  for (const [name, value] of upper.parameters) parameters.set(`document.${name}`, value);

  const tokenize: Embedder["tokenize"] = (texts, kind = {}, counts) => {
    const layout = { ...settings, prompt: base.promptOf(kind) };
    return texts.map((text) => {
      const sentences = splitSentences(prepareText(text, layout)).map((sentence) =>
        // Text that spells a special token would begin or end a block.
        tokenizer
          .encodeIds(sentence, { addSpecialTokens: false, truncation: false })
          .filter((id) => id !== tokenizer.clsId && id !== tokenizer.sepId),
      );
      const { blocks, droppedTokens } = fillBlocks(sentences, upper.config);
      const ids = Int32Array.from(blocks.flatMap((words) => [...blockSequence(words, tokenizer)]));
      if (counts !== undefined) {
        counts.texts++;
        counts.tokens += ids.length;
        counts.truncatedTexts += Number(droppedTokens > 0);
        counts.droppedTokens += droppedTokens;
      }
      return ids;
    });
  };
  const packTokens: Embedder["packTokens"] = (ids) => {
    const batch = packSequences(ids.map((one) => ({ ids: one })));
    const { positions } = batch;
    for (let i = 0, start = 0; i < positions.length; i++) {
      if (batch.ids[i] === tokenizer.clsId) start = i;
      positions[i] = i - start;
    }
    return batch;
  };
  /** Vectors of documents from the states of their tokens. */
  const finish = (
    hidden: Tensor,
    { offsets, documents }: BlockBatch,
    how: { training?: boolean; seed?: number } = {},
  ) => upper.documentVectors(upper.blockVectors(hidden, offsets), documents, how);
  const vectorsOf = (ids: readonly Int32Array[], normalize = settings.normalize): Tensor => {
    const blocks = blocksOfBatch(packTokens(ids));
    const vectors = finish(base.hiddenOf(blocks), blocks);
    return normalize ? normalizeRows(vectors) : vectors;
  };
  /** Batches of documents one by one; after each the caller may do something else. */
  function* embedding(
    result: Tensor,
    texts: readonly string[],
    how: Parameters<Embedder["embed"]>[1] = {},
  ): Generator<void, Tensor> {
    const { tokenBudget = 4096, normalize, onProgress, counts = emptyCounts(), ...kind } = how;
    const ids = tokenize(texts, kind, counts);
    const groups = groupByTokenBudget(
      ids.map(({ length }) => length),
      tokenBudget,
    );
    let done = 0;
    for (const group of groups) {
      scope(() =>
        noGrad(() => {
          const vectors = vectorsOf(
            group.map((i) => ids[i]),
            normalize,
          );
          group.forEach((text, row) => {
            const from = vectors.pointer + 4 * row * width;
            vectors.storage.backend.copy(from, result.pointer + 4 * text * width, width, "float32");
          });
        }),
      );
      done += group.length;
      onProgress?.(done, texts.length);
      yield;
    }
    return result;
  }
  return {
    ...base,
    options: settings,
    documentLevel: upper,
    modules: [],
    parameters,
    width,
    tokenize,
    packTokens,
    pack: (texts, kind = {}) => packTokens(tokenize(texts, typeof kind === "string" ? { role: kind } : kind), {}),
    embedBatch: (batch, how = {}) =>
      scope(() => {
        const blocks = blocksOfBatch(batch);
        const { hidden } = model.encoder.forward(blocks, how);
        return finish(hidden, blocks, { training: how.training, seed: deriveSeed(how.seed ?? 0, "document-level") });
      }),
    poolTokens: (hidden, batch) => scope(() => finish(hidden, blocksOfBatch(batch))),
    hiddenOf: (batch) => base.hiddenOf(blocksOfBatch(batch)),
    embed(texts, how) {
      const steps = embedding(empty([texts.length, width]), texts, how);
      for (;;) {
        const { done, value } = steps.next();
        if (done) return value;
      }
    },
    async embedAsync(texts, how) {
      const steps = embedding(empty([texts.length, width]).keep(), texts, how);
      for (;;) {
        const { done, value } = steps.next();
        if (done) return value;
        await new Promise((resolve) => setTimeout(resolve));
      }
    },
    truncate() {
      throw new ClozeError("INVALID_OPTION", "An embedder of documents is not cut to fewer layers or numbers", {
        remedy: "Cut its vectors: cloze embed --dimensions, truncateVectors.",
      });
    },
    dispose() {
      base.dispose();
      upper.dispose();
    },
  };
}

/** Whether two texts match. */
export interface TextMatch {
  readonly cosine: number;
  /** sigmoid(scale (cosine - offset)), as the loss `pair-matching` has it. */
  readonly probability: number;
}

/**
 * Compares pairs of texts by their vectors; each text is embedded once.
 *
 * @example
 * const [{ cosine, probability }] = matchTexts(embedder, [[oneArticle, anotherArticle]]);
 */
export function matchTexts(
  embedder: Embedder,
  pairs: readonly (readonly [string, string])[],
  { scale = matchingDefaults.scale, offset = matchingDefaults.offset }: { scale?: number; offset?: number } = {},
): TextMatch[] {
  const places = new Map<string, number>();
  for (const text of pairs.flat()) if (!places.has(text)) places.set(text, places.size);
  return scope(() =>
    noGrad(() => {
      const vectors = normalizeRows(embedder.embed([...places.keys()]));
      const values = vectors.toTypedArray() as Float32Array;
      const row = (text: string) => {
        const start = (places.get(text) as number) * embedder.width;
        return values.subarray(start, start + embedder.width);
      };
      return pairs.map(([a, b]) => {
        const [u, v] = [row(a), row(b)];
        const cosine = u.reduce((total, value, c) => total + value * v[c], 0);
        return { cosine, probability: 1 / (1 + Math.exp(-scale * (cosine - offset))) };
      });
    }),
  );
}
