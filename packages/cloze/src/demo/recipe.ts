// The recipe of `npm start`: a bag of embeddings first, then attention on top of it.

import { z } from "zod";
import { createEmbedder, type Embedder } from "../embedding/embedder.js";
import { type TextPair, trainEmbedder } from "../embedding/train-embedder.js";
import type { LayerConfigInput } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import type { Tokenizer } from "../text/index.js";
import { findCheckpoint } from "../training/checkpoint.js";
import type { ProgressReporter } from "../training/progress.js";
import { warmupConstantDecay, warmupLinear } from "../training/trainer.js";

const size = (value: number, least = 1) => z.int().min(least).default(value);
const rate = (value: number) => z.number().positive().default(value);

/** A recipe; its defaults won on the reverse dictionary in six minutes of two cores (docs/reverse-dictionary.md). */
export const recipeSchema = z.strictObject({
  /** Width of the vectors. */
  width: size(384),
  /** Layers of attention that the second stage adds; 0: the bag is all. */
  layers: size(1, 0),
  heads: size(4),
  headSize: size(32),
  /** Width inside the channels. */
  intermediateSize: size(128),
  /** Tokens of a query and of a document at most. */
  queryLength: size(64),
  documentLength: size(40),
  batchSize: size(1024, 2),
  temperature: rate(0.1),
  /** Share of words that are left out while training. */
  wordDropout: z.number().min(0).lt(1).default(0.3),
  /** Share of the time that goes to the bag. */
  bagShare: z.number().gt(0).max(1).default(0.4),
  bagLearningRate: rate(3e-3),
  learningRate: rate(1e-3),
  tableLearningRate: rate(1e-3),
  /** Multiplicative positions. */
  gated: z.boolean().default(true),
  seed: size(1, 0),
});
export type RecipeOptions = z.output<typeof recipeSchema>;

export const demoRecipe: RecipeOptions = recipeSchema.parse({});

/** The baseline of the issue: 256 wide, no attention, no positions, the same data and time. */
export const bagRecipe: RecipeOptions = {
  ...demoRecipe,
  width: 256,
  layers: 0,
  gated: false,
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
  /** Of its checkpoints: a run that was stopped goes on where it was. */
  folder: string;
  progress: ProgressReporter;
}

/** Trains both stages. Returns the seconds trained, or undefined when the run was interrupted. */
export async function trainRecipe(
  embedder: Embedder,
  pairs: readonly TextPair[],
  recipe: RecipeOptions,
  { minutes, folder, progress }: RecipeRun,
): Promise<number | undefined> {
  const { batchSize, temperature, seed, bagShare, layers } = recipe;
  // The recipe was measured with batches that may hold a word twice.
  const shared = { batchSize, temperature, seed, progress, checkpointMinutes: 0, noDuplicates: false };
  const stage = (task: string) => {
    const own = `${folder}/${task}`;
    return { task, folder: own, resume: findCheckpoint(own) !== undefined };
  };
  const bagMinutes = layers === 0 ? minutes : minutes * bagShare;
  const bag = await trainEmbedder(embedder, pairs, {
    ...shared,
    ...stage("bag"),
    depth: 0,
    minutes: bagMinutes,
    learningRate: recipe.bagLearningRate,
    schedule: warmupLinear(0.02),
  });
  if (bag.interrupted) return undefined;
  if (layers === 0) return bag.seconds;
  const deep = await trainEmbedder(embedder, pairs, {
    ...shared,
    ...stage("attention"),
    minutes: minutes - bagMinutes,
    learningRate: recipe.learningRate,
    tableLearningRate: recipe.tableLearningRate,
    beta2: 0.98,
    seed: seed + 1,
    schedule: warmupConstantDecay(0.03, 0.97),
  });
  return deep.interrupted ? undefined : bag.seconds + deep.seconds;
}
