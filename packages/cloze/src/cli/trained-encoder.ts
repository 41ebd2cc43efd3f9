// Encoders that `cloze train` trains beside embedders: of weighted terms, and of tokens.
import type { TrainableEncoder } from "../embedding/embedder.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { createSparseEncoder, type SparseEncoder } from "../embedding/sparse-encoder/sparse-encoder.js";
import {
  isSparseEncoderFolder,
  loadSparseEncoder,
  saveSparseEncoder,
} from "../embedding/sparse-encoder/sparse-encoder-folder.js";
import { spreadTerms } from "../embedding/sparse-encoder/spread-terms.js";
import { createTokenEncoder } from "../embedding/token-encoder/token-encoder.js";
import {
  isTokenEncoderFolder,
  loadTokenEncoder,
  saveTokenEncoder,
} from "../embedding/token-encoder/token-encoder-folder.js";
import { createModel } from "../families/index.js";
import { encoderOfSize, type ModelSize } from "./model-size.js";
import { type TrainingOptions, tokenizerFor } from "./training-options.js";

export const encoderKinds = ["dense", "splade", "unicoil", "colbert"] as const;
export type EncoderKind = (typeof encoderKinds)[number];

/** Tokens of the longest text of a new model, unless told. */
export const newModelLength = 128;

/** An encoder, and how it is saved. */
export interface TrainedEncoder {
  readonly encoder: TrainableEncoder;
  /** What is done before the first step, by some documents; what it did, for people. */
  prepare?(documents: readonly string[]): string | undefined;
  save(folder: string): void;
  dispose(): void;
}

interface StartOptions extends TrainingOptions {
  tokenizer?: string;
  size: ModelSize;
  maxLength?: number;
}

/** The loss that an encoder learns by, unless told. */
export const usualLoss: Readonly<Record<EncoderKind, string>> = {
  dense: "multiple-negatives",
  splade: "splade",
  unicoil: "splade",
  colbert: "colbert",
};

/** The kind that was asked for, that of the folder, or the one that the loss is for. */
export function encoderKind(asked: EncoderKind | undefined, start: string | undefined, loss: string): EncoderKind {
  if (asked !== undefined) return asked;
  if (start !== undefined && isTokenEncoderFolder(start)) return "colbert";
  // Its folder says which of the two it is.
  if (start !== undefined && isSparseEncoderFolder(start)) return "splade";
  const fitting = encoderKinds.find((kind) => kind !== "dense" && usualLoss[kind] === loss);
  return fitting ?? "dense";
}

const newModel = (options: StartOptions, architecture: "Model" | "ForMaskedLM") => {
  const tokenizer = tokenizerFor(options);
  const { maxLength = newModelLength, size, seed } = options;
  const config = encoderOfSize(size, tokenizer.vocabularySize, maxLength);
  return { tokenizer, maxLength, model: createModel({ architecture, config, seed }) };
};

/** What a masked language model becomes a SPLADE with. */
function prepareTerms(encoder: SparseEncoder, documents: readonly string[]): string | undefined {
  const done = spreadTerms(encoder, documents);
  if (done === undefined) return undefined;
  const [before, after] = [done.before, done.after].map(Math.round);
  return `The head's bias was moved: texts begin with ${after} terms instead of ${before} (what masks are filled with is the same)`;
}

/** @param spreads it was no sparse encoder before, and begins with the terms of its head */
const sparse = (encoder: SparseEncoder, spreads: boolean): TrainedEncoder => ({
  encoder,
  ...(spreads ? { prepare: (documents: readonly string[]) => prepareTerms(encoder, documents) } : {}),
  save: (folder) => saveSparseEncoder(encoder, folder),
  dispose: () => encoder.dispose(),
});

/** By kind: from a folder, or new. */
const starts: Readonly<
  Record<Exclude<EncoderKind, "dense">, (start: string | undefined, options: StartOptions) => TrainedEncoder>
> = {
  splade(start, options) {
    if (start !== undefined) return sparse(loadSparseEncoder(start, options), !isSparseEncoderFolder(start));
    const { model, tokenizer, maxLength } = newModel(options, "ForMaskedLM");
    return sparse(createSparseEncoder(model, tokenizer, { maxLength }), true);
  },
  unicoil(start, options) {
    if (start !== undefined && isSparseEncoderFolder(start)) return sparse(loadSparseEncoder(start, options), false);
    const { model, tokenizer } =
      start === undefined ? newModel(options, "Model") : loadEmbedder(start, { pooled: false });
    const { maxLength, seed } = options;
    return sparse(createSparseEncoder(model, tokenizer, { weighting: "unicoil", maxLength, seed }), false);
  },
  colbert(start, options) {
    const { maxLength: documentLength, seed } = options;
    const how = { documentLength, seed };
    const encoder =
      start === undefined
        ? (({ model, tokenizer }) => createTokenEncoder(model, tokenizer, how))(newModel(options, "Model"))
        : loadTokenEncoder(start, isTokenEncoderFolder(start) ? (documentLength ? { documentLength } : {}) : how);
    return { encoder, save: (folder) => saveTokenEncoder(encoder, folder), dispose: () => encoder.dispose() };
  },
};

/** What training starts from. @throws SPLADE_HEAD, and what loading throws */
export const startEncoder = (
  kind: Exclude<EncoderKind, "dense">,
  start: string | undefined,
  options: StartOptions,
): TrainedEncoder => starts[kind](start, options);
