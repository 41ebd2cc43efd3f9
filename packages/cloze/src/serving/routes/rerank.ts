// Texts by their relevance to a query: Cohere's and text-embeddings-inference's way.
import { randomUUID } from "node:crypto";
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
import { cosineOfUnits, embedInputs } from "./vectors.js";

/** Documents of a request, as Cohere advises. */
const maxDocuments = 1000;

/** A cross-encoder gives one number for a pair of texts. */
export const isReranker = ({ abilities }: ServedModel): boolean => abilities.task?.labels?.length === 1;

/** Logits of texts, each read together with the query. */
async function pairLogits(
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

const bestFirst = (scores: readonly number[]): Ranked[] =>
  scores.map((score, index) => ({ index, score })).sort((a, b) => b.score - a.score || a.index - b.index);

function checkQuery(query: string): void {
  if (query === "") throw new ServingError("empty", "`query` cannot be empty", { field: "query" });
}

const documentSchema = z.union([z.string(), z.looseObject({ text: z.string() })], {
  error: "expected a text or an object with a text",
});
const cohereBody = z.object({
  model: modelField,
  query: textField,
  documents: z.array(documentSchema, { error: "expected a list of texts" }).describe("texts, or objects with a `text`"),
  top_n: z.int().min(1).nullish().describe("the best ones only"),
  return_documents: z.boolean().nullish(),
});

/** Cross-encoders give a probability; embedders the cosine, 0 where it is below. */
async function relevance(exchange: Exchange, served: ServedModel, query: string, texts: readonly string[]) {
  const reading = readingOf(exchange.state, {});
  if (isReranker(served)) return (await pairLogits(exchange, served, query, texts, reading)).map(sigmoid);
  const dense = served.abilities.dense as NonNullable<ServedModel["abilities"]["dense"]>;
  const embed = (list: readonly string[], role: "query" | "document") =>
    embedInputs(exchange, served, dense, list, { ...reading, role, normalize: true });
  const [[asked], vectors] = await Promise.all([embed([query], "query"), embed(texts, "document")]);
  return vectors.map((vector) => Math.max(0, cosineOfUnits(vector, asked)));
}

async function rerankDocuments(body: z.output<typeof cohereBody>, exchange: Exchange) {
  const { model, query, documents, top_n, return_documents } = body;
  checkQuery(query);
  checkBatchSize(documents.length, maxDocuments, "documents");
  const texts = documents.map((document) => (typeof document === "string" ? document : document.text));
  inputList(texts, "documents");
  const isAny = (one: ServedModel): boolean => isReranker(one) || one.abilities.dense !== undefined;
  // A cross-encoder where there is one; an embedder, which only compares vectors, where there is none or it is asked for.
  const served = [...exchange.state.models.values()].some(isReranker)
    ? chooseModel(exchange, model, model == null ? isReranker : isAny, "a re-ranker model")
    : chooseModel(exchange, model, isAny, "a re-ranker model");
  const ranked = bestFirst(await relevance(exchange, served, query, texts)).slice(0, top_n ?? undefined);
  return {
    id: randomUUID(),
    results: ranked.map(({ index, score }) => ({
      index,
      relevance_score: score,
      ...(return_documents === true && { document: { text: texts[index] } }),
    })),
    model: served.name,
    usage: { total_tokens: exchange.cost.tokens },
    meta: { api_version: { version: "1" }, billed_units: { search_units: 1 } },
  };
}

const cohereResponse = z.object({
  id: z.string(),
  results: z.array(
    z.object({ index: z.int(), relevance_score: z.number(), document: z.object({ text: z.string() }).optional() }),
  ),
  model: z.string(),
  usage: z.object({ total_tokens: z.int() }),
  meta: z.object({
    api_version: z.object({ version: z.string() }),
    billed_units: z.object({ search_units: z.int() }),
  }),
});

const teiBody = z.object({
  model: modelField,
  query: textField,
  texts: z.array(z.string(), { error: "expected a list of texts" }),
  raw_scores: z.boolean().default(false).describe("the model's numbers instead of probabilities"),
  return_text: z.boolean().default(false),
  truncate: truncateField,
  truncation_direction: directionField,
});
const teiResponse = z.array(z.object({ index: z.int(), score: z.number(), text: z.string().optional() }));

async function rerankTexts(body: z.output<typeof teiBody>, exchange: Exchange) {
  const { model, query, texts, raw_scores, return_text } = body;
  checkQuery(query);
  inputList(texts, "texts");
  const served = chooseModel(exchange, model, isReranker, "a re-ranker model");
  checkBatchSize(texts.length, exchange.state.settings.maxClientBatchSize, "texts");
  const logits = await pairLogits(exchange, served, query, texts, readingOf(exchange.state, body));
  return bestFirst(raw_scores ? logits : logits.map(sigmoid)).map(({ index, score }) => ({
    index,
    score,
    ...(return_text && { text: texts[index] }),
  }));
}

const hasField =
  (name: string) =>
  (body: unknown): boolean =>
    typeof body === "object" && body !== null && name in body;

const cohere = defineRoute({
  method: "POST",
  paths: ["/v1/rerank", "/v2/rerank"],
  dialect: "cohere",
  group: "Cohere",
  summary: "Documents by their relevance to a query",
  example: { query: "a pet", documents: ["a small cat", "the stock market"], top_n: 1 },
  body: cohereBody,
  response: cohereResponse,
  inference: true,
  handle: rerankDocuments,
});

/** Cohere's form on text-embeddings-inference's path, told by its field. */
const cohereOnSharedPath = defineRoute({ ...cohere, paths: ["/rerank"], accepts: hasField("documents") });

export const rerank = defineRoute({
  method: "POST",
  paths: ["/rerank"],
  dialect: "tei",
  group: "Text Embeddings Inference",
  summary: "Texts by their relevance to a query",
  example: { query: "a pet", texts: ["a small cat", "the stock market"] },
  body: teiBody,
  response: teiResponse,
  inference: true,
  handle: rerankTexts,
});

export const rerankRoutes = [cohere, cohereOnSharedPath, rerank];
