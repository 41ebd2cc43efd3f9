// Searching an index that `cloze index` made.
import { z } from "zod";
import { countCharacters, type Exchange } from "../http/exchange.js";
import { defineRoute } from "../http/route.js";
import type { ServedIndex } from "../search-index.js";
import { ServingError } from "../serving-error.js";
import { inputList, textField } from "./fields.js";
import { listOf } from "./list-of.js";
import { chooseRetriever, pipelineNames, usualPipelines } from "./search-pipelines.js";

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const isScalar = (value: unknown): boolean => ["string", "number", "boolean"].includes(typeof value);
const scalars = listOf(scalar, "", { isRight: isScalar });
const condition = z.union(
  [
    scalar,
    scalars,
    z.strictObject({
      gte: z.number().optional(),
      gt: z.number().optional(),
      lte: z.number().optional(),
      lt: z.number().optional(),
      not: z.union([scalar, scalars]).optional(),
    }),
  ],
  { error: "expected a value, a list of values, or an object of gte, gt, lte, lt, not" },
);

// Scores stay finite.
const weight = z.number().min(0).max(1e6);
const highlight = z.object({ field: z.enum(["title", "text"]), start: z.int(), end: z.int(), text: z.string() });

/** @throws ServingError "not-found", "backend" */
function chooseIndex({ state }: Exchange, name: string | null | undefined): ServedIndex {
  const found = name == null ? [...state.indexes.values()][0] : state.indexes.get(name);
  if (found !== undefined) return found;
  if (state.indexes.size === 0) throw new ServingError("backend", "no index is served here", { field: "index" });
  throw new ServingError(
    "not-found",
    `There is no index of this name; there is ${[...state.indexes.keys()].join(", ")}`,
    {
      field: "index",
    },
  );
}

const search = defineRoute({
  method: "POST",
  paths: ["/search"],
  dialect: "tei",
  group: "Cloze",
  summary: "Documents of an index: by words, by vectors, by both, by learned weights of terms, or by token vectors",
  example: { query: "a small cat", top: 3 },
  body: z.object({
    query: textField,
    top: z.int().min(1).max(1000).default(10).describe("documents at most"),
    index: z.string().nullish().describe("name of a served index; default: the first"),
    pipeline: z
      .enum(pipelineNames, { error: `expected ${pipelineNames.join(", ")}` })
      .nullish()
      .describe(usualPipelines),
    weights: z.tuple([weight, weight]).default([0.3, 0.7]).describe("of words and vectors in a hybrid search"),
    filter: z
      .record(z.string(), condition)
      .nullish()
      .describe('conditions by field, all of which hold: {"lang": "en", "year": {"gte": 2010}, "tag": {"not": "old"}}'),
    highlight: z.boolean().default(true).describe("say where words of the query stand"),
  }),
  response: z.object({
    query: z.string(),
    hits: z.array(
      z.object({
        id: z.string(),
        score: z.number(),
        title: z.string().optional(),
        text: z.string(),
        fields: z.record(z.string(), z.unknown()).optional(),
        highlights: z.array(highlight).optional().describe("places in UTF-16 units: text.slice(start, end)"),
      }),
    ),
    documents: z.int().describe("documents in the index"),
    index: z.string(),
    pipeline: z.enum(pipelineNames),
  }),
  inference: true,
  async handle({ query, top, index: name, pipeline: asked, weights, filter, highlight }, exchange) {
    inputList(query, "query");
    const index = chooseIndex(exchange, name);
    const { pipeline, retriever } = chooseRetriever({ exchange, index, weights }, asked);
    const hits = await index.search(retriever, { query, top, filter: filter ?? undefined, highlight });
    // Models count what they read.
    if (exchange.cost.characters === 0) countCharacters(exchange, [query]);
    return { query, hits, documents: index.size, index: index.name, pipeline };
  },
});

export const searchRoutes = [search];
