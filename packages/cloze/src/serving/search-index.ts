// A folder that `cloze index` made, served: documents by words, by vectors or by both, filtered and with their words marked.
import { ClozeError } from "../errors.js";
import { fuseRetrievers } from "../retrieval/pipeline/fusion.js";
import { indexBm25, indexDense } from "../retrieval/pipeline/index-retrievers.js";
import type { Retriever } from "../retrieval/pipeline/retriever.js";
import type { TextVectors } from "../retrieval/pipeline/text-vectors.js";
import type { IndexedDocument } from "../retrieval/store/document.js";
import type { Filter } from "../retrieval/store/filter.js";
import { modelFingerprint } from "../retrieval/store/model-fingerprint.js";
import { openIndex, type SearchIndex } from "../retrieval/store/search-index.js";
import type { ServedModel } from "./served-model.js";

/** How documents are found. */
export const pipelines = ["bm25", "dense", "hybrid"] as const;
export type PipelineName = (typeof pipelines)[number];

/** A word of a document that the query holds too: `document[field].slice(start, end)`. */
export interface Highlight {
  readonly field: "title" | "text";
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** A document that was found. */
export interface FoundDocument extends IndexedDocument {
  readonly score: number;
  readonly highlights?: readonly Highlight[];
}

export interface ServedSearch {
  readonly query: string;
  /** Documents at most. */
  readonly top: number;
  readonly pipeline: PipelineName;
  /** Of words and of vectors, in a hybrid search. */
  readonly weights: readonly [number, number];
  readonly filter?: Filter;
  readonly highlight: boolean;
  /** Vectors of queries, by the index's model. */
  readonly vectors?: TextVectors;
}

/** An index that is served. */
export interface ServedIndex {
  readonly name: string;
  /** Documents that can be found. */
  readonly size: number;
  /** The model of its vectors; absent: it holds words only. */
  readonly model?: ServedModel;
  search(search: ServedSearch): Promise<readonly FoundDocument[]>;
  close(): void;
}

/** Words of a document that are marked at most. */
const mostHighlights = 100;
const word = /[\p{L}\p{N}\p{M}]+/gu;

/** The words of a document that are read as words of the query. */
export function highlightsOf(
  { title = "", text }: IndexedDocument,
  query: string,
  terms: (text: string) => readonly string[],
): Highlight[] {
  const wanted = new Set(terms(query));
  const found: Highlight[] = [];
  for (const [field, content] of [["title", title] as const, ["text", text] as const]) {
    for (const { 0: one, index } of content.matchAll(word)) {
      if (found.length >= mostHighlights) return found;
      if (terms(one).some((term) => wanted.has(term)))
        found.push({ field, start: index, end: index + one.length, text: one });
    }
  }
  return found;
}

/**
 * Opens an index to serve.
 *
 * @param models those that are served; the one that made the index's vectors is found by its fingerprint
 * @param load serves the index's model, where it is none of them
 * @throws INDEX_MODEL when the model is not what it was when the index was made, and what `openIndex` throws
 */
export async function openServedIndex(
  folder: string,
  name: string,
  models: readonly ServedModel[],
  load: (model: { folder: string }) => Promise<ServedModel>,
): Promise<ServedIndex> {
  const index = openIndex(folder);
  try {
    return serveIndex(index, name, await modelOf(index, models, load));
  } catch (error) {
    index.close();
    throw error;
  }
}

async function modelOf(
  { settings: { vectors }, folder }: SearchIndex,
  models: readonly ServedModel[],
  load: (model: { folder: string }) => Promise<ServedModel>,
): Promise<ServedModel | undefined> {
  if (vectors === undefined) return undefined;
  const isItsOwn = (place: string): boolean => modelFingerprint(place) === vectors.fingerprint;
  const served = models.find((model) => model.abilities.dense?.width === vectors.width && isItsOwn(model.folder));
  if (served !== undefined) return served;
  const loaded = await load({ folder: vectors.model });
  if (isItsOwn(vectors.model)) return loaded;
  throw new ClozeError("INDEX_MODEL", `${folder} was made with another model than stands in ${vectors.model} now`, {
    remedy: "Serve the model that made the index with --model, or index the documents again.",
  });
}

function serveIndex(index: SearchIndex, name: string, model: ServedModel | undefined): ServedIndex {
  const retrieverFor = ({ pipeline, weights, vectors }: ServedSearch): Retriever => {
    const words = indexBm25(index);
    if (pipeline === "bm25" || vectors === undefined) return words;
    const dense = indexDense(index, vectors);
    return pipeline === "dense" ? dense : fuseRetrievers([words, dense], { weights });
  };
  return {
    name,
    size: index.size,
    model,
    async search(search) {
      const { query, top, filter, highlight } = search;
      const [ranking] = await retrieverFor(search).search([query], { depth: top, filter });
      return ranking.flatMap(({ id, score }) => {
        const document = index.get(id);
        if (document === undefined) return [];
        return [{ ...document, score, ...(highlight && { highlights: highlightsOf(document, query, index.terms) }) }];
      });
    },
    close: () => index.close(),
  };
}
