// Hooks: more words for a document when it is indexed, and for a query when it is asked.
import type { Retriever } from "./retriever.js";

/**
 * What stands behind a document's text in the index: questions that it answers (doc2query), terms that a model gives, nothing.
 */
export type DocumentExpansion<Document> = (
  document: Document,
) => string | readonly string[] | Promise<string | readonly string[]>;

/**
 * Documents with their expansions, one after another, for any index. What is stored is what is indexed: keep the text as it was in
 * a field of its own where it is shown.
 *
 * @example
 * await index.add(expandDocuments(readDocuments(path, warnings), ({ id }) => questions.get(id) ?? []));
 */
export async function* expandDocuments<Document extends { readonly text: string }>(
  documents: Iterable<Document> | AsyncIterable<Document>,
  expand: DocumentExpansion<Document>,
): AsyncGenerator<Document> {
  for await (const document of documents) {
    const given = await expand(document);
    const more = (typeof given === "string" ? [given] : given).filter((text) => text !== "").join(" ");
    yield more === "" ? document : { ...document, text: `${document.text} ${more}` };
  }
}

/** What a query becomes before it is searched with. */
export type QueryExpansion = (query: string) => string | Promise<string>;

/**
 * A retriever that searches with expanded queries; rerankers behind it see the query as it was.
 *
 * @example
 * const search = pipeline(expandQueries(bm25, (query) => `${query} ${synonyms(query)}`), rerankPointwise(model, texts));
 */
export const expandQueries = (retriever: Retriever, expand: QueryExpansion): Retriever => ({
  ...retriever,
  name: `${retriever.name}+expansion`,
  async search(queries, options) {
    const expanded: string[] = [];
    for (const query of queries) expanded.push(await expand(query));
    return retriever.search(expanded, options);
  },
});
