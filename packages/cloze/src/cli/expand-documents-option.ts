// What documents are expanded by when they are indexed.
import { existsSync } from "node:fs";
import type { DataWarnings } from "../data/readers/warnings.js";
import { type DocumentExpander, openDocumentExpander } from "../retrieval/pipeline/document-expanders.js";
import { modelFolder } from "./model-argument.js";
import type { CommonOptions } from "./output.js";

/** The option's flags and description. */
export const expandDocumentsOption = [
  "--expand-documents <file|model>",
  "words that are searched with documents: JSON lines or a table of id and queries (of doc2query, say), or a model of train-retrieval --part tilde",
] as const;

/** Opens what the option names: a file or folder, or a model of the hub; undefined where it was left out. */
export async function openExpander(
  options: CommonOptions & { expandDocuments?: string },
  warnings: DataWarnings,
): Promise<DocumentExpander | undefined> {
  const { expandDocuments: place } = options;
  if (place === undefined) return undefined;
  return openDocumentExpander(existsSync(place) ? place : await modelFolder(place, options), warnings);
}
