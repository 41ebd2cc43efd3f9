// Small models with random weights in folders, one of each kind that is served.
import { join } from "node:path";
import { createEmbedder } from "../src/embedding/embedder.js";
import { saveEmbedder } from "../src/embedding/sentence-transformers.js";
import { uniformEncoder } from "../src/encoder/config.js";
import { type CreateModelOptions, createModel, type Model, saveModel } from "../src/families/index.js";

import { saveTaskModel, taskOf } from "../src/tasks/index.js";
import { type Tokenizer, trainWordPiece } from "../src/text/index.js";

const lines = [
  "the small cat sat on the mat",
  "a large dog ran after the cat",
  "lovely film and a dreadful day",
  "ada lovelace was born in london",
  "where is the stock market [SEP] größe",
];

export const tinyTokenizer = () => trainWordPiece(lines, { vocabularySize: 200, minFrequency: 1 });

/** A tokenizer that knows some words whole. @param words with blanks between them */
export const wordTokenizer = (words: string, vocabularySize = 80): Tokenizer =>
  trainWordPiece([words, words], { vocabularySize, minFrequency: 1 });

/** A model of 16 numbers a token over a tokenizer's words, without dropout unless told. */
export const wordModel = (
  { vocabularySize }: Tokenizer,
  {
    architecture = "Model",
    head,
    seed = 3,
    layers = 1,
    initializerRange = 0.2,
    dropout = 0,
  }: Partial<Pick<CreateModelOptions, "architecture" | "head" | "seed">> & {
    layers?: number;
    initializerRange?: number;
    dropout?: number;
  } = {},
): Model => {
  const shape = { vocabularySize, hiddenSize: 16, layers, heads: 2, maxPositions: 24, dropout, initializerRange };
  return createModel({ architecture, head, seed, config: uniformEncoder(shape) });
};

/** Longest sequence of the tiny models. */
export const tinyMaxLength = 32;

const kinds = {
  embedder: { architecture: "Model" },
  language: { architecture: "ForMaskedLM" },
  reranker: { architecture: "ForSequenceClassification", labels: 1 },
  classifier: { architecture: "ForSequenceClassification", labels: 2, names: ["bad", "good"] },
  tagger: { architecture: "ForTokenClassification", labels: 3, names: ["B-PER", "I-PER", "O"] },
  reader: { architecture: "ForQuestionAnswering" },
};
export type TinyKind = keyof typeof kinds;

/** Writes a model of that kind into `<folder>/<kind>` and returns its place. */
export function writeTinyModel(folder: string, kind: TinyKind, maxLength = tinyMaxLength): string {
  const tokenizer = tinyTokenizer();
  const config = uniformEncoder({
    vocabularySize: tokenizer.vocabularySize,
    hiddenSize: 16,
    layers: 2,
    heads: 2,
    maxPositions: maxLength,
  });
  const model: Model = createModel({ ...kinds[kind], config, seed: 7 });
  const place = join(folder, kind);
  if (kind === "embedder") saveEmbedder(createEmbedder(model, tokenizer), place);
  else if (kind === "tagger") {
    const settings = { names: kinds.tagger.names, scheme: "BIO", stride: 4 };
    saveTaskModel({ task: taskOf("token-classification"), settings, model, tokenizer, maxLength }, place);
  } else {
    saveModel(model, place);
    tokenizer.save(place);
  }
  model.dispose();
  return place;
}

/** Writes one model of each kind. */
export const writeTinyModels = (folder: string): Record<TinyKind, string> =>
  Object.fromEntries((Object.keys(kinds) as TinyKind[]).map((kind) => [kind, writeTinyModel(folder, kind)])) as Record<
    TinyKind,
    string
  >;
