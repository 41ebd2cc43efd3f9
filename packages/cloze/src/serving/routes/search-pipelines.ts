// How documents of a served index are found. A pipeline is an entry here, and what models made for it one of `search-index.ts`.
import { searchedAsUnit } from "../../embedding/embedder.js";
import { fuseRetrievers } from "../../retrieval/pipeline/fusion.js";
import {
  indexBm25,
  indexDense,
  indexLateInteraction,
  indexSparse,
  indexTermWeights,
  type Searchable,
} from "../../retrieval/pipeline/index-retrievers.js";
import type { Retriever } from "../../retrieval/pipeline/retriever.js";
import type { TermReader } from "../../retrieval/term-weighting/term-reader.js";
import type { Abilities } from "../abilities/index.js";
import { compute, type Exchange, inTurn } from "../http/exchange.js";
import { type NearestProgram, nearestUnit } from "../nearest-program.js";
import { rowsOf } from "../pack-units.js";
import { type MadePartName, partTitle, type ServedIndex } from "../search-index.js";
import { searchUnit } from "../search-program.js";
import type { ServedModel } from "../served-model.js";
import { ServingError } from "../serving-error.js";
import { embedInputs, readInputs } from "./vectors.js";

/** What a search is for. */
interface Asked {
  readonly exchange: Exchange;
  readonly index: ServedIndex;
  /** Of words and of vectors, in a hybrid search. */
  readonly weights: readonly [number, number];
}

/** Looks for what needs no model, where the index has it, or for what a model made: then it is given that model. */
type Pipeline =
  | { readonly part?: undefined; has?(index: ServedIndex): boolean; retriever(asked: Asked): Retriever }
  | { readonly part: MadePartName; retriever(asked: Asked, model: ServedModel): Retriever };

/** Queries are read whole, or what fits of them. */
const reading = { role: "query", truncate: true, direction: "right" } as const;

const ability = <Name extends keyof Abilities>({ abilities }: ServedModel, name: Name) =>
  abilities[name] as NonNullable<Abilities[Name]>;

/** Where words are looked for: in a large index in their turn. */
const words = ({ exchange, index: { searchable, large } }: Asked): Retriever =>
  indexBm25(
    large === undefined
      ? searchable
      : {
          searchWords: async (query, options) =>
            (await inTurn(exchange, large.words, [searchUnit(query, options)])).results[0],
        },
  );

/** The same for weights. */
const weightsOf = ({ exchange, index: { searchable, large } }: Asked): Pick<Searchable, "searchWeights"> =>
  large === undefined
    ? searchable
    : {
        searchWeights: async (queries, options) => {
          const units = queries.map((query) => searchUnit(query, options));
          return [...(await inTurn(exchange, large.weights, units)).results];
        },
      };

function dense({ exchange, index }: Asked, model: ServedModel): Retriever {
  const made = ability(model, "dense");
  const normalize = model.embedder !== undefined && searchedAsUnit(model.embedder.options);
  // Queries wait for the index as their texts did for the model: what came together is searched together.
  const searchVectors: Searchable["searchVectors"] = async (queries, options) => {
    const units = rowsOf(queries, made.width).map((vector) => nearestUnit(vector, options));
    return [...(await inTurn(exchange, index.nearest as NearestProgram, units)).results];
  };
  return indexDense(
    { searchVectors },
    {
      width: made.width,
      async embed(texts) {
        const vectors = await embedInputs(exchange, model, made, texts, { ...reading, normalize });
        const rows = new Float32Array(vectors.length * made.width);
        vectors.forEach((vector, i) => {
          rows.set(vector, i * made.width);
        });
        return rows;
      },
    },
  );
}

function splade(asked: Asked, model: ServedModel): Retriever {
  const { exchange } = asked;
  return indexSparse(weightsOf(asked), async (texts) => {
    const units = await readInputs(exchange, model, texts, reading);
    const { results } = await compute(exchange, ability(model, "sparse").program, units);
    return results.map((values) => ({
      terms: Uint32Array.from(values, ({ index }) => index),
      weights: Float32Array.from(values, ({ value }) => value),
    }));
  });
}

function colbert({ exchange, index }: Asked, model: ServedModel): Retriever {
  return indexLateInteraction(index.searchable, async (texts) => {
    const units = await readInputs(exchange, model, texts, reading);
    return (await compute(exchange, ability(model, "lateInteraction").program, units)).results;
  });
}

/** The one that is preferred first. */
const pipelines = {
  hybrid: {
    part: "vectors",
    retriever: (asked, model) => fuseRetrievers([words(asked), dense(asked, model)], { weights: asked.weights }),
  },
  dense: { part: "vectors", retriever: dense },
  splade: { part: "weights", retriever: splade },
  colbert: { part: "tokens", retriever: colbert },
  "term-weights": {
    has: ({ termReader }) => termReader !== undefined,
    retriever: (asked) => indexTermWeights(weightsOf(asked), asked.index.termReader as TermReader),
  },
  bm25: { retriever: words },
} satisfies Record<string, Pipeline>;

export type PipelineName = keyof typeof pipelines;
export const pipelineNames = Object.keys(pipelines) as [PipelineName, ...PipelineName[]];

/** What is chosen where nothing is said, for people. */
export const usualPipelines =
  "default: hybrid where the index has vectors, splade where it has learned weights (term-weights where those are of words), colbert where it has token vectors, else bm25";

/**
 * The retriever of a search. Its model reads queries in their turn, as it does all texts.
 *
 * @param name default: the best that the index is made for
 * @throws ServingError "backend" when the index holds nothing for it
 */
export function chooseRetriever(
  asked: Asked,
  name: PipelineName | null | undefined,
): { pipeline: PipelineName; retriever: Retriever } {
  const { exchange, index } = asked;
  const can = (one: PipelineName): boolean => {
    const asks: Pipeline = pipelines[one];
    return asks.part === undefined ? (asks.has?.(index) ?? true) : index.models[asks.part] !== undefined;
  };
  const possible = pipelineNames.filter(can);
  const pipeline = name ?? possible[0];
  const chosen: Pipeline = pipelines[pipeline];
  if (!can(pipeline)) {
    const held = chosen.part === undefined ? "weights of words" : partTitle(chosen.part);
    const unserved = chosen.part && index.unserved[chosen.part];
    const why = unserved ? `is not served by its ${held}, which ${unserved.title} made` : `holds no ${held}`;
    throw new ServingError("backend", `${index.name} ${why}; it is searched by ${possible.join(", ")}`, {
      field: "pipeline",
    });
  }
  if (chosen.part === undefined) return { pipeline, retriever: chosen.retriever(asked) };
  const model = index.models[chosen.part] as ServedModel;
  exchange.cost.model = model.name;
  return { pipeline, retriever: chosen.retriever(asked, model) };
}
