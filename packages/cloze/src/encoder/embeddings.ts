// From ids to vectors: words, positions and segments, added up.
import { add, dropout, mul, sub, type Tensor, take, takeGated, tensor } from "@cloze/tensor";
import { randomSource } from "../data/random-source.js";
import { ClozeError } from "../errors.js";
import type { EncoderBatch } from "./batch.js";
import type { EncoderConfig } from "./config.js";
import { normalize, normSpecs } from "./layer.js";
import { lookUp } from "./parameters.js";
import type { ParameterSpec } from "./part.js";
import { deriveSeed } from "./seeds.js";

/** The parameters of the embeddings. */
export function embeddingSpecs(config: EncoderConfig): ParameterSpec[] {
  const { vocabularySize, hiddenSize, maxPositions, segmentVocabularySize, embeddings } = config;
  const table = (
    name: string,
    rows: number,
    { sparseRows = false, initial = "normal" }: Partial<Pick<ParameterSpec, "sparseRows" | "initial">> = {},
  ): ParameterSpec => ({
    name: `embeddings.${name}.weight`,
    shape: [rows, hiddenSize],
    initial,
    sparseRows,
  });
  return [
    table("word", vocabularySize, { sparseRows: embeddings.sparse }),
    ...(embeddings.positions === "learned" ? [table("position", maxPositions)] : []),
    ...(embeddings.positions === "gated" ? [table("gate", maxPositions, { initial: "ones" })] : []),
    ...(segmentVocabularySize > 0 ? [table("segment", segmentVocabularySize)] : []),
    ...(embeddings.norm ? normSpecs("embeddings.norm", hiddenSize) : []),
  ];
}

function checkRange(ids: Int32Array, size: number, code: string, message: string, remedy: string): void {
  for (const id of ids) {
    if (id >= 0 && id < size) continue;
    throw new ClozeError(code, message, { expected: `0 to ${size - 1}`, received: String(id), remedy });
  }
}

function checkBatch({ ids, segments, positions, offsets }: EncoderBatch, config: EncoderConfig): void {
  const tokens = ids.length;
  if (segments.length !== tokens || positions.length !== tokens || offsets[offsets.length - 1] !== tokens) {
    throw new ClozeError("BATCH_SHAPE", "Ids, segments and positions are as many as the last offset says", {
      received: `${tokens} ids, ${segments.length} segments, ${positions.length} positions, end ${offsets[offsets.length - 1]}`,
      remedy: "Build batches with packSequences.",
    });
  }
  checkRange(
    ids,
    config.vocabularySize,
    "TOKEN_OUT_OF_RANGE",
    "A token id lies outside the model's vocabulary",
    "The tokenizer does not belong to this model.",
  );
  if (config.embeddings.positions !== "none") {
    checkRange(
      positions,
      config.maxPositions,
      "SEQUENCE_TOO_LONG",
      "A sequence is longer than the model's positions",
      "Truncate texts to the model's longest sequence.",
    );
  }
  if (config.segmentVocabularySize > 0) {
    checkRange(
      segments,
      config.segmentVocabularySize,
      "SEGMENT_OUT_OF_RANGE",
      "A segment lies outside the model's segments",
      "Give one text instead of a pair, or another model.",
    );
  }
}

/** Rows of the word table. Padding that is not seen gets its row, but does not train it (as in PyTorch). -> [tokens, hidden] */
function words(table: Tensor, { ids, visible }: EncoderBatch, padId: number | null): Tensor {
  const rows = take(table, tensor(ids));
  if (visible === undefined || padId === null || !ids.includes(padId)) return rows;
  const trained = tensor(
    Float32Array.from(ids, (id) => Number(id !== padId)),
    [ids.length, 1],
  );
  return add(mul(rows, trained), mul(rows.detach(), sub(1, trained)));
}

/**
 * The vectors that the first layer takes. -> [tokens, hidden]
 *
 * @throws BATCH_SHAPE, TOKEN_OUT_OF_RANGE, SEQUENCE_TOO_LONG, SEGMENT_OUT_OF_RANGE
 */
export function embed(
  batch: EncoderBatch,
  config: EncoderConfig,
  parameters: ReadonlyMap<string, Tensor>,
  dropoutSeed: number | undefined,
): Tensor {
  checkBatch(batch, config);
  const { embeddings, segmentVocabularySize, normEpsilon } = config;
  const table = (name: string): Tensor => lookUp(parameters, `embeddings.${name}.weight`);
  const rows = (name: string, indices: Int32Array): Tensor => take(table(name), tensor(indices));
  const dropRows = dropoutSeed === undefined ? 0 : embeddings.wordDropout;
  const wordSeed = deriveSeed(dropoutSeed ?? 0, "words");
  const wordVectors = (): Tensor => {
    if (embeddings.positions === "gated") {
      return takeGated(table("word"), tensor(batch.ids), table("gate"), tensor(batch.positions), {
        dropRows,
        seed: wordSeed,
      });
    }
    const all = words(table("word"), batch, config.padId);
    if (dropRows === 0) return all;
    const random = randomSource(wordSeed);
    const mask = Float32Array.from({ length: batch.ids.length }, () => Number(random() >= dropRows));
    return mul(all, tensor(mask, [batch.ids.length, 1]));
  };
  const parts = [wordVectors()];
  if (segmentVocabularySize > 0) parts.push(rows("segment", batch.segments));
  if (embeddings.positions === "learned") parts.push(rows("position", batch.positions));
  let sum: Tensor;
  if (embeddings.norm) {
    // The last addition happens inside the norm.
    const last = parts.length > 1 ? parts.pop() : undefined;
    sum = normalize(parts.reduce(add), parameters, "embeddings.norm", normEpsilon, last);
  } else sum = parts.reduce(add);
  return dropoutSeed === undefined ? sum : dropout(sum, embeddings.dropout, dropoutSeed);
}
