// Documents with paragraphs out of the files of a corpus: text, JSON lines, Parquet, CSV and TSV, packed or not.
import type { CorpusFile } from "../data/corpus/corpus-files.js";
import { partsOf, readDocuments } from "../data/corpus/documents.js";
import type { DataWarnings } from "../data/readers/warnings.js";
import { ClozeError } from "../errors.js";
import { documentOfJson, documentsOfLines, readLines, type TextDocument } from "../text/index.js";

/**
 * Documents of files, as they are read. Text files: paragraphs by a blank line, documents by two or by files. JSON lines:
 * `{ title, sections }`, or `{ title, text }` with the text in another field where it is named so or alone. Rows of tables: their
 * text. Lines that are no JSON and rows without text are counted.
 *
 * @throws DOCUMENT_FORMAT for a file of JSON lines without a document, CORPUS_TEXT_FIELD, and what the readers throw
 */
export async function* readTextDocuments(
  files: readonly CorpusFile[],
  options: { textField?: string },
  warnings: DataWarnings,
): AsyncGenerator<TextDocument> {
  for (const file of files) {
    if (file.format === "text") yield* documentsOfLines(readLines(file.path, { keepBlank: true }));
    else if (file.format === "jsonl") yield* jsonDocuments(file, options, warnings);
    else {
      for (const part of await partsOf([file], options)) {
        for await (const text of readDocuments(part, {}, warnings)) yield documentOfJson({ text });
      }
    }
  }
}

async function* jsonDocuments(
  file: CorpusFile,
  { textField }: { textField?: string },
  warnings: DataWarnings,
): AsyncGenerator<TextDocument> {
  const { path } = file;
  /** The field of rows without sections; asked for once, when there is one without "text". */
  let field = textField;
  let [number, good] = [0, 0];
  let first: ClozeError | undefined;
  for (const line of readLines(path, { keepBlank: true })) {
    number++;
    if (line.trim() === "") continue;
    const wrong = (received: string, cause?: unknown): void => {
      first ??= new ClozeError("DOCUMENT_FORMAT", `${path}, line ${number}: ${received}`, {
        expected: '{ "title": …, "text": … } or { "title": …, "sections": [["a paragraph", …]] }',
        received: line.slice(0, 80),
        cause,
      });
    };
    let value: Record<string, unknown>;
    try {
      value = JSON.parse(line) as Record<string, unknown>;
    } catch (cause) {
      wrong("this is no JSON", cause);
      warnings.add("CORPUS_BAD_LINE", "lines that are no JSON object, left out", path);
      continue;
    }
    if (typeof value === "object" && value !== null && !Array.isArray(value.sections)) {
      if (field === undefined && typeof value.text !== "string") field = (await partsOf([file]))[0].textField;
      value = { title: value.title, text: value[field ?? "text"] };
    }
    let document: TextDocument;
    try {
      document = documentOfJson(value);
    } catch (cause) {
      wrong("this is no document", cause);
      warnings.add("CORPUS_ROW_WITHOUT_TEXT", "rows without text, left out", path);
      continue;
    }
    good++;
    yield document;
  }
  if (good === 0 && first !== undefined) throw first;
}
