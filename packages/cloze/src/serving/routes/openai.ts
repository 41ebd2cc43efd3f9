// OpenAI's embeddings and models.
import { z } from "zod";
import { checkBatchSize, chooseAbility, modelNamed } from "../http/exchange.js";
import { defineRoute } from "../http/route.js";
import { vectorJson } from "../http/vector-json.js";
import { inputList, inputsField, promptNameField, readingOf } from "./fields.js";
import { embedInputs } from "./vectors.js";

/** Inputs of a request, as OpenAI has it. */
const maxInputs = 2048;

const leastFirst = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** The bytes of a vector as OpenAI writes them: float32, least significant byte first. */
function base64Of({ buffer, byteOffset, byteLength }: Float32Array): string {
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  return (leastFirst ? bytes : Buffer.from(bytes).swap32()).toString("base64");
}

const embeddings = defineRoute({
  method: "POST",
  paths: ["/v1/embeddings", "/embeddings"],
  dialect: "openai",
  group: "OpenAI",
  summary: "Vectors of texts",
  example: { input: ["a small cat", "a large dog"] },
  body: z.object({
    model: z.string().nullish().describe("name of a served model; default: the first that embeds"),
    input: inputsField.describe("a text or up to 2,048; or the model's own token ids, special tokens included"),
    encoding_format: z
      .enum(["float", "base64"], { error: 'expected "float" or "base64"' })
      .nullish()
      .describe("base64: the bytes of float32 numbers, least significant first"),
    dimensions: z.int().min(1).nullish().describe("keep the first numbers only"),
    user: z.string().nullish(),
    prompt_name: promptNameField,
  }),
  response: z.object({
    object: z.literal("list"),
    data: z.array(
      z.object({
        object: z.literal("embedding"),
        index: z.int(),
        embedding: z.union([z.array(z.number()), z.string()]),
      }),
    ),
    model: z.string(),
    usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
  }),
  inference: true,
  async handle({ model, input, encoding_format, dimensions, prompt_name }, exchange) {
    const inputs = inputList(input, "input");
    checkBatchSize(inputs.length, maxInputs, "input");
    const { served, ability } = chooseAbility(exchange, model, "dense");
    const reading = { ...readingOf(exchange.state, { prompt_name }), dimensions, normalize: true, field: "input" };
    const vectors = await embedInputs(exchange, served, ability, inputs, reading);
    const { tokens } = exchange.cost;
    const about = { model: served.name, usage: { prompt_tokens: tokens, total_tokens: tokens } };
    if (encoding_format === "base64") {
      const data = vectors.map((vector, index) => ({ object: "embedding", index, embedding: base64Of(vector) }));
      return { object: "list", data, ...about };
    }
    const before = vectors.map(
      (_, i) => `${i === 0 ? '{"object":"list","data":[' : "},"}{"object":"embedding","index":${i},"embedding":`,
    );
    return vectorJson(vectors, [...before, `}],${JSON.stringify(about).slice(1)}`]);
  },
});

const modelSchema = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.string(),
});
const describe = ({ name, created }: { name: string; created: number }): z.output<typeof modelSchema> => ({
  id: name,
  object: "model",
  created,
  owned_by: "cloze",
});

const models = defineRoute({
  method: "GET",
  paths: ["/v1/models"],
  dialect: "openai",
  group: "OpenAI",
  summary: "The models that are served",
  response: z.object({ object: z.literal("list"), data: z.array(modelSchema) }),
  handle: (_, { state }) => ({ object: "list", data: [...state.models.values()].map(describe) }),
});

const model = defineRoute({
  method: "GET",
  // Names may hold slashes, as the hub's do.
  paths: ["/v1/models/*"],
  dialect: "openai",
  group: "OpenAI",
  summary: "One model",
  response: modelSchema,
  handle: (_, exchange) => describe(modelNamed(exchange, exchange.rest ?? "")),
});

export const openaiRoutes = [embeddings, models, model];
