import type { TokenDocument } from "../data/document-source.js";
import { cleanDocument, type DocumentLimits, type TextDocument } from "../text/documents.js";
import type { Tokenizer } from "../text/index.js";

/**
 * Documents as token ids, ready for `writeDocumentStore`. Links lead to the documents with these titles; those that lead
 * nowhere, or to their own document, are left out.
 */
export function tokenizeDocuments(
  documents: Iterable<TextDocument>,
  tokenizer: Pick<Tokenizer, "encodeIds">,
  limits: DocumentLimits = {},
): TokenDocument[] {
  const kept = [...documents].flatMap((document) => tokenizeDocument(document, tokenizer, limits) ?? []);
  const byTitle = titlePositions(kept.map(({ title }) => title));
  return kept.map(({ ids, sections }, own) => ({ title: ids, sections: resolveLinks(sections, own, byTitle) }));
}

/** A document as token ids, whose links are names still. */
export interface NamedDocument {
  readonly title: string | undefined;
  /** Of the title. */
  readonly ids: Int32Array;
  readonly sections: readonly (readonly {
    readonly sentences: readonly Int32Array[];
    readonly links: readonly string[];
  }[])[];
}

/** One document as token ids; undefined where it is too short. */
export function tokenizeDocument(
  document: TextDocument,
  tokenizer: Pick<Tokenizer, "encodeIds">,
  limits: DocumentLimits = {},
): NamedDocument | undefined {
  const ids = (text: string): Int32Array =>
    Int32Array.from(tokenizer.encodeIds(text, { addSpecialTokens: false, truncation: false }));
  const kept = cleanDocument(document, limits);
  if (kept === undefined) return undefined;
  const { title, sections } = kept;
  return {
    title,
    ids: ids(title ?? ""),
    sections: sections.map((section) =>
      section.map(({ sentences, links = [] }) => ({
        sentences: sentences.map(ids).filter(({ length }) => length > 0),
        links,
      })),
    ),
  };
}

/** The last document of each title. */
export const titlePositions = (titles: readonly (string | undefined)[]): ReadonlyMap<string, number> =>
  new Map(titles.flatMap((title, position) => (title === undefined ? [] : [[title, position] as const])));

/** Sections whose links lead to documents: those with these titles, but not to their own. */
export const resolveLinks = (
  sections: NamedDocument["sections"],
  own: number,
  byTitle: ReadonlyMap<string, number>,
): TokenDocument["sections"] =>
  sections.map((section) =>
    section.map(({ sentences, links }) => {
      const targets = links.flatMap((name) => byTitle.get(name) ?? []).filter((position) => position !== own);
      return { sentences, ...(targets.length > 0 ? { links: [...new Set(targets)] } : {}) };
    }),
  );
