// A folder that `cloze index` made, served: the models that it needs, and documents, filtered and with their words marked.
import { existsSync } from "node:fs";
import { ClozeError } from "../errors.js";
import type { TermWeights } from "../retrieval/learned-sparse/term-weights.js";
import type { Searchable } from "../retrieval/pipeline/index-retrievers.js";
import type { Retriever } from "../retrieval/pipeline/retriever.js";
import type { SearchIndex } from "../retrieval/store/contract.js";
import { type IndexedDocument, type ShownDocument, shownDocument } from "../retrieval/store/document.js";
import type { Filter } from "../retrieval/store/filter.js";
import type { IndexSettings } from "../retrieval/store/index-settings.js";
import type { ModelFacts } from "../retrieval/store/manifest.js";
import { modelFingerprint } from "../retrieval/store/model-fingerprint.js";
import type { TermReader } from "../retrieval/term-weighting/term-reader.js";
import { type NearestProgram, nearestProgram, nearestUnit } from "./nearest-program.js";
import type { Scheduler } from "./scheduler.js";
import { type SearchProgram, searchProgram } from "./search-program.js";
import type { ServedModel } from "./served-model.js";
import { type UnservedKind, unservedKind } from "./unserved-kinds.js";

/**
 * What a model made of an index's documents, by its name among the index's settings: what it is called, and which models can
 * do the same for queries.
 */
const madeParts = {
  vectors: {
    title: "vectors",
    fits: ({ abilities }, { vectors }) => abilities.dense !== undefined && abilities.dense.width === vectors?.width,
  },
  weights: {
    title: "learned weights of terms",
    fits: ({ abilities }) => abilities.sparse !== undefined,
    readWithoutModel: ({ weights }) => weights?.terms === "words",
  },
  tokens: {
    title: "token vectors",
    fits: ({ abilities }, { tokens }) => abilities.lateInteraction?.width === tokens?.width,
  },
} satisfies Partial<Record<keyof IndexSettings, MadePart>>;

interface MadePart {
  readonly title: string;
  fits(model: ServedModel, settings: IndexSettings): boolean;
  /** Whether queries are read without the model: it is not served for the index. */
  readWithoutModel?(settings: IndexSettings): boolean;
}

/** What a model may have made of an index's documents. */
export type MadePartName = keyof typeof madeParts;

/** What a part of an index is called, for people. */
export const partTitle = (part: MadePartName): string => madeParts[part].title;

/** A word of a document that the query holds too: `document[field].slice(start, end)`. */
export interface Highlight {
  readonly field: "title" | "text";
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** A document that was found. */
export interface FoundDocument extends ShownDocument {
  readonly score: number;
  readonly highlights?: readonly Highlight[];
}

export interface ServedSearch {
  readonly query: string;
  /** Documents at most. */
  readonly top: number;
  readonly filter?: Filter;
  readonly highlight: boolean;
}

/** An index that is served. */
export interface ServedIndex {
  readonly name: string;
  /** Documents that can be found. */
  readonly size: number;
  /** The models of what it holds beside words. */
  readonly models: { readonly [Part in MadePartName]?: ServedModel };
  /** Parts that it holds and that are not searched, by what made them. */
  readonly unserved: { readonly [Part in MadePartName]?: UnservedKind };
  /** Reads queries for weights of words, where it holds some. */
  readonly termReader?: TermReader;
  /** The folder of the weighter that it reads them as. */
  readonly weighter?: string;
  /** What retrievers look into. */
  readonly searchable: Searchable;
  /** Its words and weights, for queries that wait in their turn; absent where a search takes a few milliseconds at most. */
  readonly large?: { readonly words: SearchProgram<string>; readonly weights: SearchProgram<TermWeights> };
  /** Its vectors, for queries that wait in their turn; absent where it has none. */
  readonly nearest?: NearestProgram;
  /** The documents that a retriever finds. */
  search(retriever: Retriever, search: ServedSearch): Promise<readonly FoundDocument[]>;
  /** Searches once, so that the first request finds its vectors in memory. */
  warmUp(scheduler: Scheduler): Promise<void>;
  close(): void;
}

/** Documents from which searches by words and weights wait in their turn. */
const largeSize = 50_000;
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
 * Opens an index to serve. What a model made that is not served is left out: its words can be searched all the same.
 *
 * @param models those that are served; the ones that made the index's vectors, weights or tokens are found by their fingerprints
 * @param load serves a model of the index, where it is none of them
 * @param options.large documents from which searches by words and weights wait in their turn
 * @param options.weighters folders of weighters of words, one of which may have made its weights
 * @throws INDEX_MODEL when the model is not what it was when the index was made, and what `openIndex` throws
 */
export async function openServedIndex(
  folder: string,
  name: string,
  models: readonly ServedModel[],
  load: (model: { folder: string }) => Promise<ServedModel>,
  { large = largeSize, weighters = [] }: { large?: number; weighters?: readonly string[] } = {},
): Promise<ServedIndex> {
  // A server without indexes does not load them.
  const { openIndex } = await import("../retrieval/store/search-index.js");
  const index = openIndex(folder);
  try {
    const found: Partial<Record<MadePartName, ServedModel>> = {};
    const unserved: Partial<Record<MadePartName, UnservedKind>> = {};
    for (const part of Object.keys(madeParts) as MadePartName[]) {
      const made = index.settings[part];
      const { readWithoutModel }: MadePart = madeParts[part];
      if (made === undefined || readWithoutModel?.(index.settings) === true) continue;
      const kind = unservedKind(made.model);
      if (kind !== undefined && modelFingerprint(made.model) === made.fingerprint) unserved[part] = kind;
      else found[part] = await modelOf(index, part, made, [...models, ...Object.values(found)], load);
    }
    const reader = await termReaderOf(index, weighters);
    return serveIndex(index, name, { models: found, unserved, ...reader, large });
  } catch (error) {
    index.close();
    throw error;
  }
}

/** What reads queries as the weighter of an index's words does: that stands where the index says, or in another folder. */
async function termReaderOf(
  { settings, folder }: SearchIndex,
  weighters: readonly string[],
): Promise<Pick<ServedIndex, "termReader" | "weighter">> {
  const { weights } = settings;
  if (weights?.terms !== "words") return {};
  const places = [...weighters, weights.model];
  const place = places.find((one) => existsSync(one) && modelFingerprint(one) === weights.fingerprint);
  if (place !== undefined) {
    const { loadTermReader } = await import("../retrieval/term-weighting/term-weighter-folder.js");
    return { termReader: loadTermReader(place), weighter: place };
  }
  throw new ClozeError("INDEX_MODEL", `The weighter of ${folder}'s words no longer stands in ${weights.model}`, {
    expected: `a folder of cloze train-retrieval (${weights.fingerprint.slice(0, 12)})`,
    received: existsSync(weights.model) ? "another model" : "nothing",
    remedy: "Put it back, say where it is with --model, or index the documents again.",
  });
}

async function modelOf(
  { settings, folder }: SearchIndex,
  part: MadePartName,
  made: ModelFacts,
  models: readonly ServedModel[],
  load: (model: { folder: string }) => Promise<ServedModel>,
): Promise<ServedModel> {
  const { fits, title }: MadePart = madeParts[part];
  const isItsOwn = (model: ServedModel): boolean =>
    fits(model, settings) && modelFingerprint(model.folder) === made.fingerprint;
  const served = models.find(isItsOwn);
  if (served !== undefined) return served;
  if (!existsSync(made.model)) {
    throw new ClozeError("INDEX_MODEL", `The model of ${folder} no longer stands in ${made.model}`, {
      expected: `the model of its ${title} (${made.fingerprint.slice(0, 12)})`,
      received: models.length === 0 ? "no other model" : models.map(({ name }) => name).join(", "),
      remedy: "Say where it is with --model.",
    });
  }
  const found = await load({ folder: made.model });
  if (isItsOwn(found)) return found;
  throw new ClozeError("INDEX_MODEL", `${folder} was made with another model than stands in ${made.model} now`, {
    expected: `the model of its ${title} (${made.fingerprint.slice(0, 12)})`,
    received: `${found.name} (${modelFingerprint(found.folder).slice(0, 12)})`,
    remedy: "Serve the model that made the index with --model, or index the documents again.",
  });
}

function serveIndex(
  index: SearchIndex,
  name: string,
  {
    models,
    unserved,
    termReader,
    weighter,
    large,
  }: Pick<ServedIndex, "models" | "unserved" | "termReader" | "weighter"> & { large: number },
): ServedIndex {
  const { vectors } = index.settings;
  const nearest = vectors === undefined ? undefined : nearestProgram(index, name);
  return {
    name,
    termReader,
    weighter,
    unserved,
    size: index.size,
    models,
    searchable: index,
    large:
      index.size < large
        ? undefined
        : {
            words: searchProgram(`${name} words`, index.searchWordsAsync),
            weights: searchProgram(`${name} weights`, index.searchWeightsAsync),
          },
    nearest,
    async search(retriever, { query, top, filter, highlight }) {
      const [ranking] = await retriever.search([query], { depth: top, filter });
      return ranking.flatMap(({ id, score }) => {
        const document = index.get(id);
        if (document === undefined) return [];
        const highlights = highlight ? highlightsOf(document, query, index.terms) : undefined;
        return [{ ...shownDocument(document), score, ...(highlights && { highlights }) }];
      });
    },
    async warmUp(scheduler) {
      if (nearest === undefined || vectors === undefined) return;
      await scheduler.submit(nearest, [nearestUnit(new Float32Array(vectors.width), { depth: 1 })]);
    },
    close: () => index.close(),
  };
}
