// The recipe of `npm start`: a bag of embeddings first, then attention on top of it.

import { createEmbedder, type Embedder } from "../embedding/embedder.js";
import { type TextPair, trainEmbedder } from "../embedding/train-embedder.js";
import type { LayerConfigInput } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import type { Tokenizer } from "../text/index.js";
import type { ProgressReporter } from "../training/progress.js";
import { warmupConstantDecay, warmupLinear } from "../training/trainer.js";

export interface RecipeOptions {
  /** Width of the vectors. */
  width: number;
  /** Layers of attention that the second stage adds; 0: the bag is all. */
  layers: number;
  heads: number;
  headSize: number;
  /** Width inside the channels; the cheap part of a layer is attention. */
  intermediateSize: number;
  /** Tokens of a query and of a document at most. */
  queryLength: number;
  documentLength: number;
  batchSize: number;
  temperature: number;
  wordDropout: number;
  /** Share of the time that goes to the bag. */
  bagShare: number;
  bagLearningRate: number;
  learningRate: number;
  tableLearningRate: number;
  /** Multiplicative positions. */
  gated: boolean;
  seed: number;
}

/** What won on the reverse dictionary in six minutes of two cores; see docs/reverse-dictionary.md. */
export const demoRecipe: RecipeOptions = {
  width: 384,
  layers: 1,
  heads: 4,
  headSize: 32,
  intermediateSize: 128,
  queryLength: 64,
  documentLength: 40,
  batchSize: 1024,
  temperature: 0.1,
  wordDropout: 0.3,
  bagShare: 0.4,
  bagLearningRate: 3e-3,
  learningRate: 1e-3,
  tableLearningRate: 1e-3,
  gated: true,
  seed: 1,
};

/** The baseline of the issue: 256 wide, no attention, no positions, the same data and time. */
export const bagRecipe: RecipeOptions = {
  ...demoRecipe,
  width: 256,
  layers: 0,
  gated: false,
  wordDropout: 0,
  bagShare: 1,
};

/** A new embedder for a recipe, its layers passing their input through. */
export function createRecipeEmbedder(tokenizer: Tokenizer, recipe: RecipeOptions): Embedder {
  const { width, layers, heads, headSize, intermediateSize, queryLength, documentLength, gated, wordDropout } = recipe;
  const layer: LayerConfigInput = {
    mixer: { type: "attention", heads, headSize, dropout: 0 },
    channel: { type: "mlp", intermediateSize },
    // Leaving words out regularises enough; dropping values costs a quarter of the time.
    dropout: 0,
  };
  const model = createModel({
    architecture: "Model",
    head: { type: "none" },
    seed: recipe.seed,
    config: {
      vocabularySize: tokenizer.vocabularySize,
      hiddenSize: width,
      maxPositions: queryLength + documentLength,
      segmentVocabularySize: 0,
      embeddings: { positions: gated ? "gated" : "none", norm: false, dropout: 0, wordDropout, sparse: true },
      normPosition: "pre",
      finalNorm: false,
      residualInit: "zero",
      layers: Array.from({ length: layers }, () => layer),
    },
  });
  return createEmbedder(model, tokenizer, {
    specialTokens: false,
    maxLength: Math.max(queryLength, documentLength),
    roles: {
      query: { maxLength: queryLength },
      // A document's positions have gates of their own.
      document: { maxLength: documentLength, positionOffset: queryLength },
    },
  });
}

export interface RecipeRun {
  minutes: number;
  folder: string;
  resume: boolean;
  progress: ProgressReporter;
  /** Called between the stages with the seconds trained so far. */
  afterBag?: (seconds: number) => void;
}

/** Trains both stages. Returns the seconds trained, or undefined when the run was interrupted. */
export async function trainRecipe(
  embedder: Embedder,
  pairs: readonly TextPair[],
  recipe: RecipeOptions,
  { minutes, folder, resume, progress, afterBag }: RecipeRun,
): Promise<number | undefined> {
  const { batchSize, temperature, seed, bagShare, layers } = recipe;
  const shared = { batchSize, temperature, seed, resume, progress, checkpointMinutes: 0 };
  const bagMinutes = layers === 0 ? minutes : minutes * bagShare;
  const bag = await trainEmbedder(embedder, pairs, {
    ...shared,
    folder: `${folder}/bag`,
    task: "bag",
    depth: 0,
    minutes: bagMinutes,
    learningRate: recipe.bagLearningRate,
    schedule: warmupLinear(0.02),
  });
  if (bag.interrupted) return undefined;
  if (layers === 0) return bag.seconds;
  afterBag?.(bag.seconds);
  const deep = await trainEmbedder(embedder, pairs, {
    ...shared,
    folder: `${folder}/attention`,
    task: "attention",
    minutes: minutes - bagMinutes,
    learningRate: recipe.learningRate,
    tableLearningRate: recipe.tableLearningRate,
    beta2: 0.98,
    seed: seed + 1,
    schedule: warmupConstantDecay(0.03, 0.97),
  });
  return deep.interrupted ? undefined : bag.seconds + deep.seconds;
}
