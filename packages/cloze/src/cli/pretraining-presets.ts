// How BERT, RoBERTa and ModernBERT are pre-trained, by name: the encoder and what its paper says about training.
import { ClozeError } from "../errors.js";
import { type CreateModelOptions, familyOf } from "../families/index.js";
import type { PretrainOptions } from "../training/pretrain.js";
import { warmupConstantDecay, warmupLinear } from "../training/trainer.js";
import { type ModelSize, modelSizes } from "./model-size.js";

/** What a new model depends on besides its size. */
export interface PresetFrame {
  readonly vocabularySize: number;
  readonly padId: number;
  /** Longest sequence. */
  readonly maxLength: number;
}

type Sizes = (typeof modelSizes)[ModelSize];

interface Recipe {
  readonly description: string;
  /** Fields of the family's config.json. */
  config(sizes: Sizes, frame: PresetFrame): { readonly model_type: string; readonly [field: string]: unknown };
  readonly objective: Readonly<Record<string, unknown>>;
  /** Of the base model, as the paper has it; smaller ones take larger steps. */
  readonly learningRate: number;
  readonly smallLearningRate: number;
  readonly training: Pick<PretrainOptions, "weightDecay" | "beta2" | "epsilon" | "schedule" | "crossDocuments">;
}

const common = ({ layers, hiddenSize, heads }: Sizes, { vocabularySize, padId }: PresetFrame) => ({
  vocab_size: vocabularySize,
  hidden_size: hiddenSize,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  pad_token_id: padId,
});

const recipes: Readonly<Record<string, Recipe>> = {
  bert: {
    description: "masked words 15 %, 1 % warm-up (arXiv 1810.04805; next-sentence prediction left out)",
    config: (sizes, frame) => ({
      model_type: "bert",
      ...common(sizes, frame),
      intermediate_size: 4 * sizes.hiddenSize,
      max_position_embeddings: frame.maxLength,
    }),
    objective: { type: "masked-language", rate: 0.15 },
    learningRate: 1e-4,
    smallLearningRate: 5e-4,
    training: { weightDecay: 0.01, epsilon: 1e-6, schedule: warmupLinear(0.01) },
  },
  roberta: {
    description: "masked words 15 %, sequences over document borders, beta2 0.98, 6 % warm-up (arXiv 1907.11692)",
    config: (sizes, frame) => ({
      model_type: "roberta",
      ...common(sizes, frame),
      intermediate_size: 4 * sizes.hiddenSize,
      type_vocab_size: 1,
      layer_norm_eps: 1e-5,
      max_position_embeddings: frame.maxLength + frame.padId + 1,
    }),
    objective: { type: "masked-language", rate: 0.15 },
    learningRate: 6e-4,
    smallLearningRate: 6e-4,
    training: { weightDecay: 0.01, beta2: 0.98, epsilon: 1e-6, schedule: warmupLinear(0.06), crossDocuments: true },
  },
  modernbert: {
    description: "masked words 30 %, rotary positions, local attention, gated channels, trapezoid (arXiv 2412.13663)",
    config: (sizes, frame) => ({
      model_type: "modernbert",
      ...common(sizes, frame),
      intermediate_size: 16 * Math.round((1.5 * sizes.hiddenSize) / 16),
      max_position_embeddings: frame.maxLength,
    }),
    objective: { type: "masked-language", rate: 0.3, maskShare: 1, randomShare: 0 },
    learningRate: 8e-4,
    smallLearningRate: 8e-4,
    training: { weightDecay: 1e-5, beta2: 0.98, epsilon: 1e-6, schedule: warmupConstantDecay(0.02, 0.1) },
  },
};

/** What a preset says, before what the command line says otherwise. */
export interface PretrainingPreset {
  readonly name: string;
  readonly objective: Readonly<Record<string, unknown>>;
  readonly learningRate: number;
  readonly training: Recipe["training"];
  /** What a new model is made of. */
  model(frame: PresetFrame): Omit<CreateModelOptions, "architecture">;
}

/** Names of presets, for help: a recipe alone is its base size. */
export const presetsHelp = (): string =>
  [
    ...Object.entries(recipes).map(([name, { description }]) => `  ${name}: ${description}`),
    `  with a size behind it: ${Object.keys(modelSizes).join(", ")}, as in modernbert-tiny; base unless named`,
  ].join("\n");

/** @throws PRESET_UNKNOWN */
export function pretrainingPreset(name: string): PretrainingPreset {
  const [recipeName, size = "base"] = name.split("-") as [string, ModelSize | undefined];
  const recipe = Object.hasOwn(recipes, recipeName) ? recipes[recipeName] : undefined;
  const sizes = Object.hasOwn(modelSizes, size) ? modelSizes[size] : undefined;
  if (recipe === undefined || sizes === undefined) {
    throw new ClozeError("PRESET_UNKNOWN", "There is no such preset", {
      expected: `${Object.keys(recipes).join(", ")}, alone or with a size: ${Object.keys(modelSizes).join(", ")}`,
      received: name,
      remedy: "As in --preset modernbert-tiny.",
    });
  }
  return {
    name,
    objective: recipe.objective,
    learningRate: size === "base" ? recipe.learningRate : recipe.smallLearningRate,
    training: recipe.training,
    model(frame) {
      const json = recipe.config(sizes, frame);
      const { encoder, head } = familyOf(json.model_type).readConfig(json);
      return { ...head, config: encoder };
    },
  };
}
