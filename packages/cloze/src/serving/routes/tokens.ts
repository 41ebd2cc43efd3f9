// Texts to tokens and back, as text-embeddings-inference gives them.
import { z } from "zod";
import type { Tokenizer } from "../../text/index.js";
import { promptOf } from "../abilities/read-text.js";
import { checkBatchSize, chooseModel, encodeAll } from "../http/exchange.js";
import { defineRoute } from "../http/route.js";
import { inputList, modelField, promptNameField, textsField } from "./fields.js";
import { idList, idLists } from "./list-of.js";

const tokenSchema = z.object({
  id: z.int(),
  text: z.string(),
  special: z.boolean(),
  start: z.int().nullable().describe("bytes of UTF-8 before it; null for special tokens"),
  stop: z.int().nullable(),
});
type Token = z.output<typeof tokenSchema>;

const anyModel = (): boolean => true;

/** Tokens with their places in bytes, as text-embeddings-inference counts. */
function tokensOf(tokenizer: Tokenizer, text: string, addSpecialTokens: boolean): Token[] {
  const encoding = tokenizer.encode(text, { addSpecialTokens, truncation: false, padding: false });
  // Offsets grow but for odd tokenizers, so bytes are counted from the last place on.
  let [unit, bytes] = [0, 0];
  const bytesBefore = (place: number): number => {
    if (place < unit) [unit, bytes] = [0, 0];
    bytes += Buffer.byteLength(text.slice(unit, place));
    unit = place;
    return bytes;
  };
  return Array.from(encoding.ids, (id, i): Token => {
    if (encoding.specialTokensMask[i] === 1) {
      return { id, text: encoding.tokens[i], special: true, start: null, stop: null };
    }
    const [from, to] = encoding.offsets[i];
    const start = bytesBefore(from);
    return {
      id,
      text: text.slice(from, to),
      special: false,
      start,
      stop: start + Buffer.byteLength(text.slice(from, to)),
    };
  });
}

const tokenize = defineRoute({
  method: "POST",
  paths: ["/tokenize"],
  dialect: "tei",
  group: "Text Embeddings Inference",
  summary: "The tokens of texts",
  example: { inputs: "a small cat" },
  body: z.object({
    inputs: textsField,
    add_special_tokens: z.boolean().default(true),
    prompt_name: promptNameField,
    model: modelField,
  }),
  response: z.array(z.array(tokenSchema)),
  inference: true,
  async handle({ inputs, add_special_tokens, prompt_name, model }, exchange) {
    const texts = inputList(inputs) as string[];
    const served = chooseModel(exchange, model, anyModel, "a model");
    checkBatchSize(texts.length, exchange.state.settings.maxClientBatchSize, "inputs");
    const { prompt, tokenizer } =
      prompt_name == null ? { prompt: "", tokenizer: served.tokenizer } : promptOf(served, prompt_name);
    return encodeAll(exchange, texts, (text) => tokensOf(tokenizer, prompt + text, add_special_tokens));
  },
});

const decode = defineRoute({
  method: "POST",
  paths: ["/decode"],
  dialect: "tei",
  group: "Text Embeddings Inference",
  summary: "The texts of tokens",
  example: { ids: [101, 1037, 102] },
  body: z.object({
    ids: z.union([idList(), idLists()], { error: "expected a list of token ids, or a list of such lists" }),
    skip_special_tokens: z.boolean().default(true),
    model: modelField,
  }),
  response: z.array(z.string()),
  inference: true,
  async handle({ ids, skip_special_tokens, model }, exchange) {
    const lists = inputList(ids as number[] | number[][], "ids") as number[][];
    const { tokenizer } = chooseModel(exchange, model, anyModel, "a model");
    checkBatchSize(lists.length, exchange.state.settings.maxClientBatchSize, "ids");
    return encodeAll(exchange, lists, (list) => tokenizer.decode(list, { skipSpecialTokens: skip_special_tokens }));
  },
});

export const tokenRoutes = [tokenize, decode];
