// Texts by their relevance to a query: text-embeddings-inference's way, and what Cohere's shares with it.
import { z } from "zod";
import { sigmoid } from "../../tasks/outputs.js";
import { encodeInput } from "../encode-input.js";
import {
  checkBatchSize,
  chooseModel,
  compute,
  countCharacters,
  countDropped,
  type Exchange,
  encodeAll,
} from "../http/exchange.js";
import { defineRoute } from "../http/route.js";
import type { ServedModel } from "../served-model.js";
import { ServingError } from "../serving-error.js";
import { directionField, inputList, modelField, readingOf, textField, truncateField } from "./fields.js";
import { textList } from "./list-of.js";

/** A cross-encoder gives one number for a pair of texts. */
export const isReranker = ({ abilities }: ServedModel): boolean => abilities.task?.labels?.length === 1;

/** Logits of texts, each read together with the query. */
export async function pairLogits(
  exchange: Exchange,
  served: ServedModel,
  query: string,
  texts: readonly string[],
  cut: { truncate: boolean; direction: "left" | "right" },
): Promise<number[]> {
  const task = served.abilities.task as NonNullable<ServedModel["abilities"]["task"]>;
  countCharacters(exchange, [...texts, ...texts.map(() => query)]);
  const { tokenizer, maxLength } = served;
  const units = await encodeAll(exchange, texts, (pair) =>
    encodeInput(tokenizer, { text: query, pair }, { maxLength, ...cut }),
  );
  countDropped(exchange, units);
  const { results } = await compute(exchange, task.program, units);
  return results.map(([logit]) => logit);
}

interface Ranked {
  readonly index: number;
  readonly score: number;
}

/** Scores with their places, best first. */
export const bestFirst = (scores: readonly number[]): Ranked[] =>
  scores.map((score, index) => ({ index, score })).sort((a, b) => b.score - a.score || a.index - b.index);

/** @throws ServingError "empty" */
export function checkQuery(query: string): void {
  if (query === "") throw new ServingError("empty", "`query` cannot be empty", { field: "query" });
}

const body = z.object({
  model: modelField,
  query: textField,
  texts: textList(),
  raw_scores: z.boolean().default(false).describe("the model's numbers instead of probabilities"),
  return_text: z.boolean().default(false),
  truncate: truncateField,
  truncation_direction: directionField,
});
const response = z.array(z.object({ index: z.int(), score: z.number(), text: z.string().optional() }));

async function rerankTexts(given: z.output<typeof body>, exchange: Exchange) {
  const { model, query, texts, raw_scores, return_text } = given;
  checkQuery(query);
  inputList(texts, "texts");
  const served = chooseModel(exchange, model, isReranker, "a re-ranker model");
  checkBatchSize(texts.length, exchange.state.settings.maxClientBatchSize, "texts");
  const logits = await pairLogits(exchange, served, query, texts, readingOf(exchange.state, given));
  return bestFirst(raw_scores ? logits : logits.map(sigmoid)).map(({ index, score }) => ({
    index,
    score,
    ...(return_text && { text: texts[index] }),
  }));
}

export const rerank = defineRoute({
  method: "POST",
  paths: ["/rerank"],
  dialect: "tei",
  group: "Text Embeddings Inference",
  summary: "Texts by their relevance to a query",
  example: { query: "a pet", texts: ["a small cat", "the stock market"] },
  body,
  response,
  inference: true,
  handle: rerankTexts,
});
