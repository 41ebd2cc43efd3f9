import { existsSync } from "node:fs";
import type { DocumentSource } from "../data/document-source.js";
import { openDocumentStore, writeDocumentStore } from "../data/document-store.js";
import { ClozeError } from "../errors.js";
import { documentOfJson, documentsOfLines, readLines, type TextDocument, type Tokenizer } from "../text/index.js";
import { tokenizeDocuments } from "../training/tokenize-documents.js";

/** Documents of text files (paragraphs by a blank line, documents by two or by files) and of JSON lines. */
function* documentsOf(files: readonly string[]): Iterable<TextDocument> {
  for (const file of files) {
    if (!/\.(jsonl|ndjson)$/.test(file)) {
      yield* documentsOfLines(readLines(file, { keepBlank: true }));
      continue;
    }
    let number = 0;
    for (const line of readLines(file, { keepBlank: true })) {
      number++;
      if (line.trim() === "") continue;
      let value: unknown;
      try {
        value = JSON.parse(line);
      } catch (cause) {
        throw new ClozeError("DOCUMENT_FORMAT", `${file}, line ${number}: this is no JSON`, {
          received: line.slice(0, 80),
          cause,
        });
      }
      yield documentOfJson(value);
    }
  }
}

/**
 * The documents of files as a store at `path`: made, or, for a run that goes on, the one that is there.
 *
 * @throws DOCUMENT_FORMAT, TOKEN_STORE_EMPTY, and what `readLines` throws
 */
export function documentCorpus(
  files: readonly string[],
  tokenizer: Tokenizer,
  path: string,
  resume: boolean,
): DocumentSource & { close(): void } {
  if (!resume || !existsSync(path)) {
    const documents = tokenizeDocuments(documentsOf(files), tokenizer);
    if (documents.length === 0) {
      throw new ClozeError("CORPUS_EMPTY", "The files have no document of at least 200 letters", {
        expected: "paragraphs separated by a blank line, documents by two; or JSON lines with title and text",
        remedy: "Objectives that read plain lines need no paragraphs: see cloze pretrain --help.",
      });
    }
    writeDocumentStore(path, documents);
  }
  return openDocumentStore(path);
}
