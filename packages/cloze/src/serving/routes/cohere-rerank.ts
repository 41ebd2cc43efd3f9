// Documents by their relevance to a query: Cohere's way, in its first and second version.
import { randomUUID } from "node:crypto";
import { z } from "zod";
import { sigmoid } from "../../tasks/outputs.js";
import type { Steps, Tokenizer } from "../../text/index.js";
import { checkBatchSize, chooseModel, type Exchange, encodeAll } from "../http/exchange.js";
import { defineRoute } from "../http/route.js";
import type { ServedModel } from "../served-model.js";
import { ServingError } from "../serving-error.js";
import { inputList, modelField, readingOf, textField } from "./fields.js";
import { isText, listOf, textList } from "./list-of.js";
import { bestFirst, checkQuery, isReranker, pairLogits } from "./rerank.js";
import { cosineOfUnits, embedInputs } from "./vectors.js";

/** Documents of a request, as Cohere advises. */
const maxDocuments = 1000;
/** Fields of a document that are read at most. */
const mostFields = 100;
/** Documents that Cohere counts as one search. */
const documentsOfUnit = 100;
/** Tokens of a document that are read, where nothing is said. */
const usualDocumentTokens = 4096;

const documentSchema = z.union([z.string(), z.record(z.string(), z.unknown())], {
  error: "expected a text or an object with a text",
});
const bodySchema = z.object({
  model: modelField,
  query: textField,
  documents: listOf(documentSchema, "expected a list of texts", { isRight: isText }).describe(
    "texts, or objects with a `text` or with the fields of `rank_fields`",
  ),
  top_n: z.int().min(1).nullish().describe("the best ones only"),
  rank_fields: textList()
    .refine(({ length }) => length > 0 && length <= mostFields, `expected 1 to ${mostFields} fields`)
    .nullish()
    .describe('fields of objects that are read, in this order; default: ["text"]'),
  return_documents: z.boolean().nullish().describe("objects with all their fields"),
  max_tokens_per_doc: z.int().min(1).nullish().describe("documents are cut after so many tokens; default: 4096"),
  max_chunks_per_doc: z.int().min(1).nullish().describe("not needed: a document is read in one piece"),
  priority: z.int().nullish().describe("not heeded: first come, first served"),
});
type Body = z.output<typeof bodySchema>;
type Document = Body["documents"][number];

const responseSchema = z.object({
  id: z.string(),
  results: z.array(
    z.object({
      index: z.int(),
      relevance_score: z.number(),
      document: z.looseObject({ text: z.string() }).optional(),
    }),
  ),
  model: z.string(),
  usage: z.object({ total_tokens: z.int() }),
  meta: z.object({
    api_version: z.object({ version: z.string() }),
    billed_units: z.object({ search_units: z.int() }),
  }),
});

/** What is read of a document. @throws ServingError "validation" when it has none of the fields */
function textOf(document: Document, place: number, fields: readonly string[]): string {
  if (typeof document === "string") return document;
  const values = fields.filter((field) => Object.hasOwn(document, field)).map((field) => document[field]);
  const texts = values.filter((value) => typeof value === "string" || typeof value === "number");
  if (texts.length > 0 && texts.length === values.length) return texts.join("\n");
  throw new ServingError(
    "validation",
    `documents[${place}]: expected a text or an object with a text in ${fields.map((field) => `\`${field}\``).join(", ")}`,
    { field: "documents" },
  );
}

/** The beginning of a text that holds so many tokens, and how many are left out. */
function* cutText(tokenizer: Tokenizer, text: string, most: number): Steps<{ text: string; dropped: number }> {
  const { ids, offsets } = yield* tokenizer.encodeSteps(text, { addSpecialTokens: false, truncation: false });
  return ids.length <= most
    ? { text, dropped: 0 }
    : { text: text.slice(0, offsets[most - 1][1]), dropped: ids.length - most };
}

/** Texts of at most so many tokens each. What the model cuts anyway is left to it. */
async function cutTexts(
  exchange: Exchange,
  { tokenizer, maxLength }: ServedModel,
  texts: readonly string[],
  most: number,
): Promise<readonly string[]> {
  if (most >= maxLength) return texts;
  const cut = await encodeAll(exchange, texts, (text) => cutText(tokenizer, text, most));
  // The texts are inputs once, when the model reads them.
  exchange.cost.inputs -= texts.length;
  for (const { dropped } of cut) exchange.cost.dropped += dropped;
  return cut.map(({ text }) => text);
}

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

async function rerankDocuments(
  { model, query, documents, top_n, rank_fields, return_documents, max_tokens_per_doc }: Body,
  exchange: Exchange,
  version: string,
): Promise<z.output<typeof responseSchema>> {
  checkQuery(query);
  checkBatchSize(documents.length, maxDocuments, "documents");
  const texts = documents.map((document, i) => textOf(document, i, rank_fields ?? ["text"]));
  inputList(texts, "documents");
  const isAny = (one: ServedModel): boolean => isReranker(one) || one.abilities.dense !== undefined;
  // A cross-encoder where there is one; an embedder, which only compares vectors, where there is none or it is asked for.
  const served = [...exchange.state.models.values()].some(isReranker)
    ? chooseModel(exchange, model, model == null ? isReranker : isAny, "a re-ranker model")
    : chooseModel(exchange, model, isAny, "a re-ranker model");
  const read = await cutTexts(exchange, served, texts, max_tokens_per_doc ?? usualDocumentTokens);
  const ranked = bestFirst(await relevance(exchange, served, query, read)).slice(0, top_n ?? undefined);
  const returned = (index: number): { text: string } => {
    const document = documents[index];
    return typeof document === "string" ? { text: document } : { text: texts[index], ...document };
  };
  return {
    id: randomUUID(),
    results: ranked.map(({ index, score }) => ({
      index,
      relevance_score: score,
      ...(return_documents === true && { document: returned(index) }),
    })),
    model: served.name,
    usage: { total_tokens: exchange.cost.tokens },
    meta: {
      api_version: { version },
      billed_units: { search_units: Math.ceil(documents.length / documentsOfUnit) },
    },
  };
}

const versioned = (path: string, version: string) =>
  defineRoute({
    method: "POST",
    paths: [path],
    dialect: "cohere",
    group: "Cohere",
    summary: "Documents by their relevance to a query",
    example: { query: "a pet", documents: ["a small cat", "the stock market"], top_n: 1 },
    body: bodySchema,
    response: responseSchema,
    inference: true,
    handle: (body, exchange) => rerankDocuments(body, exchange, version),
  });

const first = versioned("/v1/rerank", "1");

/** Cohere's form on text-embeddings-inference's path, told by its field. */
const onSharedPath = defineRoute({
  ...first,
  paths: ["/rerank"],
  accepts: (body) => typeof body === "object" && body !== null && "documents" in body,
});

export const cohereRerankRoutes = [first, versioned("/v2/rerank", "2"), onSharedPath];
