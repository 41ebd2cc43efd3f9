// WeightedLayerPooling: weights of a transformer's layers, between it and the pooling.
import { paths, readSafetensors, writeSafetensors } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/index.js";
import { type LayerPooling, poolLayers } from "../layer-pooling.js";
import { optionalJson } from "./json-file.js";

const { join } = paths;

export const weightedLayersType = "WeightedLayerPooling";
const inFile = "layer_weights";

const schema = z.looseObject({ layer_start: z.int().min(0).default(4), num_hidden_layers: z.int().min(0).default(12) });

/** Whether a model's file asks for the states of all layers: without them sentence-transformers passes the last on. */
const givesLayers = ({ source }: Model): boolean => source?.output_hidden_states === true;

/**
 * The model with the layers pooled as a module's folder says; it owns the model.
 *
 * @throws EMBEDDER_FILE where the module is of a model of another depth
 */
export function readWeightedLayers(model: Model, folder: string): Model {
  if (!givesLayers(model)) return model;
  const { layer_start: start, num_hidden_layers: layers } = optionalJson(join(folder, "config.json"), schema) ?? {
    layer_start: 4,
    num_hidden_layers: 12,
  };
  if (layers !== model.config.layers.length) {
    throw new ClozeError("EMBEDDER_FILE", `${folder} weighs the layers of another model`, {
      expected: `${model.config.layers.length} layers`,
      received: String(layers),
    });
  }
  const file = readSafetensors(join(folder, "model.safetensors"));
  try {
    return poolLayers(model, { start, weights: file.load(inFile) });
  } finally {
    file.close();
  }
}

/** What the module's config.json holds. */
export const weightedLayersConfig = ({ config }: Model, { start }: LayerPooling): Record<string, unknown> => ({
  // New readers know this old name too.
  word_embedding_dimension: config.hiddenSize,
  layer_start: start,
  num_hidden_layers: config.layers.length,
});

export const writeLayerWeights = ({ weights }: LayerPooling, folder: string): void =>
  writeSafetensors(join(folder, "model.safetensors"), [[inFile, weights]]);
