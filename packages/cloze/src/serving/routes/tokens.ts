// Texts to tokens and back, as text-embeddings-inference gives them.
import { z } from "zod";
import type { Steps, Tokenizer } from "../../text/index.js";
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

/** Tokens of a step. */
const stepTokens = 2048;

/** Tokens with their places in bytes, as text-embeddings-inference counts. */
function* tokensOf(tokenizer: Tokenizer, text: string, addSpecialTokens: boolean): Steps<Token[]> {
  const encoding = yield* tokenizer.encodeSteps(text, { addSpecialTokens, truncation: false });
  // Offsets grow but for odd tokenizers, so bytes are counted from the last place on.
  let [unit, bytes] = [0, 0];
  const bytesBefore = (place: number): number => {
    if (place < unit) [unit, bytes] = [0, 0];
    bytes += Buffer.byteLength(text.slice(unit, place));
    unit = place;
    return bytes;
  };
  const tokens: Token[] = [];
  for (const [i, id] of encoding.ids.entries()) {
    if (encoding.specialTokensMask[i] === 1) {
      tokens.push({ id, text: encoding.tokens[i], special: true, start: null, stop: null });
    } else {
      const [from, to] = encoding.offsets[i];
      const start = bytesBefore(from);
      const own = text.slice(from, to);
      tokens.push({ id, text: own, special: false, start, stop: start + Buffer.byteLength(own) });
    }
    if (i % stepTokens === 0) yield;
  }
  return tokens;
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
    return encodeAll(exchange, lists, function* (list) {
      yield;
      return tokenizer.decode(list, { skipSpecialTokens: skip_special_tokens });
    });
  },
});

export const tokenRoutes = [tokenize, decode];
