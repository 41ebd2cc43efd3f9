// RoFormer (arXiv 2104.09864), as transformers has it: BERT whose queries and keys are turned by their places.
import { type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderConfig } from "../encoder/config.js";
import { rotaryAngles } from "../encoder/mixers/rotary-positions.js";
import { parseConfig } from "../encoder/registry.js";
import type { HeadConfig } from "../heads/index.js";
import {
  bertEncoder,
  bertFields,
  bertHead,
  bertHeadNames,
  bertLayer,
  bertLayerNames,
  denseClassifier,
  denseClassifierNames,
  layersOf,
  size,
  writeBertFields,
} from "./bert-like.js";
import { narrowEmbeddingNames } from "./electra.js";
import type { ConfigJson, Family } from "./family.js";
import { labelFields } from "./labels.js";
import { commonAliases, namesByRules } from "./name-rules.js";
import { readSummary, summaryFields, writeSummary } from "./sequence-summary.js";

const schema = z.looseObject({
  ...bertFields,
  vocab_size: size.default(50000),
  embedding_size: size.nullish(),
  max_position_embeddings: size.default(1536),
  rotary_value: z.boolean().default(false),
  ...summaryFields,
});
const theta = 10000;
const aliases = commonAliases("roformer", ["embeddings", "embeddings_project", "encoder"]);

const storage = z.looseObject({
  dtype: z.string().nullish(),
  torch_dtype: z.string().nullish(),
  cloze: z.looseObject({ rotaryRounding: z.string().nullish() }).nullish(),
});

/** How the table of angles in the file is rounded, which transformers takes as it is: as all of a file in half precision. */
function roundingOf(json: ConfigJson): "float16" | "bfloat16" | undefined {
  const { cloze, dtype, torch_dtype } = parseConfig(storage, json, "config.json");
  const kind = cloze?.rotaryRounding ?? dtype ?? torch_dtype;
  return kind === "float16" || kind === "bfloat16" ? kind : undefined;
}

/** The table of angles that transformers keeps in the file: sines, then cosines. [positions, head size] */
function angleTable({ maxPositions, hiddenSize, layers }: EncoderConfig): Tensor | undefined {
  const mixer = layers[0]?.mixer;
  if (mixer?.type !== "attention") return undefined;
  const width = hiddenSize / mixer.heads;
  const places = Array.from({ length: maxPositions }, (_, place) => place);
  const { cosines, sines } = rotaryAngles(places, width, { theta, rounding: mixer.rotary?.rounding });
  const table = new Float32Array(maxPositions * width);
  for (const place of places) {
    const from = (place * width) / 2;
    table.set(sines.subarray(from, from + width / 2), place * width);
    table.set(cosines.subarray(from, from + width / 2), place * width + width / 2);
  }
  return tensor(table, [maxPositions, width]);
}

const prefixOf = ({ type }: HeadConfig): string => (type === "none" || type === "pooler" ? "" : "roformer.");

export const roformer: Family = {
  modelType: "roformer",
  classPrefix: "RoFormer",
  fields: [...Object.keys(schema.shape), ...labelFields],
  carries: /embed_positions\.weight$/,
  heads: {
    Model: () => ({ type: "none" }),
    ForSequenceClassification: denseClassifier,
    ForMultipleChoice: ({ choiceDropout, pooling, pooler }) => ({
      type: "multiple-choice",
      dropout: choiceDropout ?? 0,
      pooling,
      pooler,
    }),
    ForCausalLM: ({ tied, activation }) => ({ type: "causal-language", tied, transform: { activation, norm: true } }),
  },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    const layer = bertLayer(config);
    const rounding = roundingOf(json);
    return {
      encoder: {
        ...bertEncoder(config),
        embeddings: {
          positions: "none",
          dropout: config.hidden_dropout_prob,
          size: config.embedding_size ?? config.hidden_size,
        },
        layers: layersOf(config.num_hidden_layers, {
          ...layer,
          mixer: {
            ...layer.mixer,
            rotary: { theta, interleaved: true, values: config.rotary_value, ...(rounding && { rounding }) },
          } as typeof layer.mixer,
        }),
      },
      head: { ...bertHead(json, config), ...readSummary(config) },
    };
  },
  writeConfig(encoder, head) {
    const mixer = encoder.layers[0]?.mixer;
    const width = "size" in encoder.embeddings ? encoder.embeddings.size : undefined;
    return {
      ...writeBertFields(encoder, head),
      embedding_size: width ?? encoder.hiddenSize,
      ...writeSummary(head),
      rotary_value: mixer?.type === "attention" && mixer.rotary?.values === true,
      ...(mixer?.type === "attention" && mixer.rotary?.rounding !== undefined
        ? { cloze: { rotaryRounding: mixer.rotary.rounding } }
        : {}),
    };
  },
  constants(encoder, head) {
    const table = angleTable(encoder);
    return new Map(table === undefined ? [] : [[`${prefixOf(head)}encoder.embed_positions.weight`, table]]);
  },
  names: (encoder, head) =>
    namesByRules(encoder, head, {
      base: "roformer",
      encoder: { ...narrowEmbeddingNames, ...bertLayerNames },
      head: {
        ...bertHeadNames,
        ...(head.type === "sequence-classification" ? denseClassifierNames : { pooler: "sequence_summary.summary" }),
      },
    }),
  aliases: (name) => [...aliases(name), ...(name === "cls.predictions.bias" ? ["cls.predictions.decoder.bias"] : [])],
};
