// What `cloze train` starts an embedder from: a folder, or nothing.
import { createDocumentEmbedder } from "../embedding/document-embedder.js";
import { createEmbedder, type Embedder, partsOf, poolsStates } from "../embedding/embedder.js";
import type { PoolingMode } from "../embedding/pooling.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { createStaticEmbedder } from "../embedding/static-embedder.js";
import { ClozeError } from "../errors.js";
import { createModel, type Model } from "../families/index.js";
import type { Tokenizer } from "../text/index.js";
import { flagOf } from "./arguments.js";
import { encoderOfSize, type ModelSize } from "./model-size.js";
import { newModelLength } from "./trained-encoder.js";
import { type TrainingOptions, tokenizerFor } from "./training-options.js";

export interface StartEmbedderOptions extends TrainingOptions {
  tokenizer?: string;
  size: ModelSize;
  /** Length of the vectors of a new table. */
  static?: number;
  maxLength?: number;
  documentLayers?: number;
  pooling?: PoolingMode;
}

/** Those of some options that were given, as one writes them. */
const given = (options: Readonly<Record<string, unknown>>): string[] =>
  Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [flagOf(name)]));

/** A new table of vectors. @throws OPTION_CONFLICT */
function newStatic(options: StartEmbedderOptions, start: string | undefined): Embedder {
  const { static: width, pooling, documentLayers, maxLength, seed } = options;
  const others = given({ model: start, pooling, documentLayers });
  if (others.length > 0) {
    throw new ClozeError("OPTION_CONFLICT", "A new table of vectors knows no model, pooling or layers", {
      expected: "--static with --tokenizer",
      received: others.join(", "),
    });
  }
  return createStaticEmbedder(tokenizerFor(options), { width, maxLength, seed });
}

/** The embedder that training starts from. @throws OPTION_CONFLICT, and what loading throws */
export function startEmbedder(options: StartEmbedderOptions, start: string | undefined): Embedder {
  const { maxLength = newModelLength } = options;
  const pooling = options.pooling === undefined ? {} : { pooling: options.pooling };
  if (options.static !== undefined) return newStatic(options, start);
  const { documentLayers, seed } = options;
  /** Over the vectors of blocks; --max-length is that of a whole document. */
  const inBlocks = (model: Model, tokenizer: Tokenizer, layers: number): Embedder => {
    const { maxPositions } = model.encoder.config;
    const block = Math.min(32, maxPositions > 0 ? maxPositions : 32);
    const level = { block, maxBlocks: Math.max(1, Math.ceil(maxLength / block)), document: { layers } };
    return createDocumentEmbedder(model, tokenizer, level, { seed });
  };
  if (start !== undefined) {
    const opened = loadEmbedder(start);
    const { model, tokenizer, options: loaded, bag, documentLevel, routes } = opened;
    if (routes !== undefined) {
      const changed = given({ pooling: options.pooling, maxLength: options.maxLength, documentLayers });
      if (changed.length === 0) return opened;
      throw new ClozeError("OPTION_CONFLICT", "The model has routes, each with its own pooling and length", {
        received: changed.join(", "),
      });
    }
    if (documentLevel !== undefined) {
      if (documentLayers === undefined || documentLayers === documentLevel.config.document.layers) return opened;
      throw new ClozeError("OPTION_CONFLICT", "The model has its own layers over blocks", {
        expected: String(documentLevel.config.document.layers),
        received: `--document-layers ${documentLayers}`,
      });
    }
    const lost = given({ documentLayers, ...(bag === undefined ? {} : { pooling: options.pooling }) });
    if (!poolsStates(opened) && lost.length > 0) {
      throw new ClozeError("OPTION_CONFLICT", "What makes the model's vectors of its encoder's states would be lost", {
        expected: "a model whose pooling stands right behind its encoder",
        received: `${lost.join(", ")} and ${bag === undefined ? opened.tokenModules.map(({ type }) => type).join(", ") : "BoW"}`,
        remedy: `Leave ${lost.join(" and ")} out, or take another model.`,
      });
    }
    if (documentLayers !== undefined) return inBlocks(model, tokenizer, documentLayers);
    return createEmbedder(model, tokenizer, {
      ...partsOf(opened),
      ...pooling,
      maxLength: Math.min(options.maxLength ?? loaded.maxLength, loaded.maxLength),
    });
  }
  const tokenizer = tokenizerFor(options);
  const positions = documentLayers === undefined ? maxLength : 32;
  const config = encoderOfSize(options.size, tokenizer.vocabularySize, positions);
  const model = createModel({ architecture: "Model", config, head: { type: "none" }, seed });
  if (documentLayers !== undefined) return inBlocks(model, tokenizer, documentLayers);
  return createEmbedder(model, tokenizer, { ...pooling, maxLength });
}
