// text-embeddings-inference's routes for models that embed.
import { z } from "zod";
import { checkBatchSize, chooseAbility, compute, type Exchange } from "../http/exchange.js";
import { defineRoute } from "../http/route.js";
import { vectorJson, vectorListJson } from "../http/vector-json.js";
import {
  directionField,
  inputList,
  mixedInputsField,
  modelField,
  promptNameField,
  readingOf,
  textField,
  truncateField,
  vectorSchema,
} from "./fields.js";
import { textList } from "./list-of.js";
import { cosineOfUnits, embedInputs, readInputs } from "./vectors.js";

const group = "Text Embeddings Inference";
const common = {
  model: modelField,
  truncate: truncateField,
  truncation_direction: directionField,
  prompt_name: promptNameField,
};
const inputs = mixedInputsField.describe("a text or several; or the model's own token ids, special tokens included");

const commonBody = z.object({ inputs, ...common });

/** The inputs of a request, read for the model that it is for. */
async function readFor<Name extends "tokenVectors" | "sparse">(
  exchange: Exchange,
  body: z.output<typeof commonBody>,
  name: Name,
) {
  const list = inputList(body.inputs);
  const { served, ability } = chooseAbility(exchange, body.model, name);
  checkBatchSize(list.length, exchange.state.settings.maxClientBatchSize, "inputs");
  return { ability, units: await readInputs(exchange, served, list, readingOf(exchange.state, body)) };
}

export const embed = defineRoute({
  method: "POST",
  paths: ["/embed"],
  dialect: "tei",
  group,
  summary: "Vectors of texts",
  example: { inputs: ["a small cat", "a large dog"] },
  body: z.object({
    inputs,
    normalize: z.boolean().default(true).describe("scale vectors to length 1"),
    dimensions: z.int().min(1).nullish().describe("keep the first numbers only"),
    ...common,
  }),
  response: z.array(vectorSchema),
  inference: true,
  async handle(body, exchange) {
    const list = inputList(body.inputs);
    const { served, ability } = chooseAbility(exchange, body.model, "dense");
    checkBatchSize(list.length, exchange.state.settings.maxClientBatchSize, "inputs");
    const { dimensions, normalize } = body;
    const reading = { ...readingOf(exchange.state, body), dimensions, normalize };
    const vectors = await embedInputs(exchange, served, ability, list, reading);
    return vectorListJson(vectors);
  },
});

const embedAll = defineRoute({
  method: "POST",
  paths: ["/embed_all"],
  dialect: "tei",
  group,
  summary: "A vector for each token of texts",
  example: { inputs: "a small cat" },
  body: commonBody,
  response: z.array(z.array(vectorSchema)),
  inference: true,
  async handle(body, exchange) {
    const { ability, units } = await readFor(exchange, body, "tokenVectors");
    const { results } = await compute(exchange, ability.program, units);
    // The first vector of a text opens its list, that of the next one closes it.
    const opening = results.flatMap((vectors, i) => vectors.map((_, t) => (t > 0 ? "," : i === 0 ? "[[" : "],[")));
    return vectorJson(results.flat(), [...opening, "]]"]);
  },
});

export const embedSparse = defineRoute({
  method: "POST",
  paths: ["/embed_sparse"],
  dialect: "tei",
  group,
  summary: "Words of the vocabulary that texts are about, with weights (SPLADE, uniCOIL)",
  example: { inputs: "a small cat" },
  body: commonBody,
  response: z.array(z.array(z.object({ index: z.int(), value: z.number() }))),
  inference: true,
  async handle(body, exchange) {
    const { ability, units } = await readFor(exchange, body, "sparse");
    return (await compute(exchange, ability.program, units)).results;
  },
});

const similarity = defineRoute({
  method: "POST",
  paths: ["/similarity"],
  dialect: "tei",
  group,
  summary: "Cosine of a text with others",
  example: { inputs: { source_sentence: "a small cat", sentences: ["a kitten", "the stock market"] } },
  body: z.object({
    inputs: z.object({
      source_sentence: textField,
      sentences: textList(),
    }),
    parameters: z
      .object({ truncate: truncateField, truncation_direction: directionField, prompt_name: promptNameField })
      .nullish(),
    model: modelField,
  }),
  response: z.array(z.number()),
  inference: true,
  async handle({ inputs: { source_sentence, sentences }, parameters, model }, exchange) {
    const texts = inputList([source_sentence, ...inputList(sentences, "sentences")] as string[]);
    const { served, ability } = chooseAbility(exchange, model, "dense");
    checkBatchSize(sentences.length, exchange.state.settings.maxClientBatchSize, "sentences");
    const reading = { ...readingOf(exchange.state, parameters ?? {}), normalize: true };
    const [source, ...others] = await embedInputs(exchange, served, ability, texts, reading);
    return others.map((other) => cosineOfUnits(other, source));
  },
});

export const textEmbeddingsRoutes = [embed, embedAll, embedSparse, similarity];
