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
  const ids = (text: string): Int32Array =>
    Int32Array.from(tokenizer.encodeIds(text, { addSpecialTokens: false, truncation: false }));
  const kept = [...documents].flatMap((document) => cleanDocument(document, limits) ?? []);
  const byTitle = new Map(kept.map(({ title }, position) => [title, position]));
  return kept.map(({ title = "", sections }, own) => ({
    title: ids(title),
    sections: sections.map((section) =>
      section.map(({ sentences, links = [] }) => {
        const targets = links.flatMap((name) => byTitle.get(name) ?? []).filter((position) => position !== own);
        return {
          sentences: sentences.map(ids).filter(({ length }) => length > 0),
          ...(targets.length > 0 ? { links: [...new Set(targets)] } : {}),
        };
      }),
    ),
  }));
}
