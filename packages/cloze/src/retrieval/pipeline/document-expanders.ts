// What expands documents when they are indexed: a file, or a model. A new kind of model is a line here.
import { statSync } from "node:fs";
import type { DataWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import { isTildeFolder, loadTilde } from "../term-weighting/tilde-folder.js";
import { tildeWords } from "../term-weighting/tilde-words.js";
import { readExpansions } from "../test-collection/expansions.js";
import { fullText } from "../test-collection/texts.js";

/** A document that may be expanded. */
interface Expandable {
  readonly id: string;
  readonly title?: string;
  readonly text: string;
}

export interface DocumentExpander {
  /** Documents that got something so far. */
  readonly expanded: number;
  /** Documents with what is searched behind their texts; those for which there is nothing as they were. */
  expand<Document extends Expandable>(documents: readonly Document[]): Document[];
  /** Documents that came and need nothing: they are in the index already, say. */
  passOver(ids: Iterable<string>): void;
  /**
   * Frees what was opened, and counts expansions of documents that did not come.
   *
   * @param complete whether all documents came, or were passed over; without, nothing is counted. Default true
   */
  close(complete?: boolean): void;
}

/** What stands behind each document. */
interface ExpansionSource {
  of(documents: readonly Expandable[]): readonly (string | undefined)[];
  passOver?(ids: Iterable<string>): void;
  close(complete: boolean): void;
}

interface ModelKind {
  recognises(folder: string): boolean;
  open(folder: string): ExpansionSource;
}

const modelKinds: readonly ModelKind[] = [
  {
    recognises: isTildeFolder,
    open(folder) {
      const tilde = loadTilde(folder);
      const texts = (documents: readonly Expandable[]) =>
        documents.map(({ title = "", text }) => fullText({ title, text }));
      return { of: (documents) => tildeWords(tilde, texts(documents)), close: () => tilde.dispose() };
    },
  },
];

async function ofFile(path: string, warnings: DataWarnings): Promise<ExpansionSource> {
  const expansions = await readExpansions(path, warnings);
  const used = new Set<string>();
  const passOver = (ids: Iterable<string>) => {
    for (const id of ids) if (expansions.has(id)) used.add(id);
  };
  return {
    of(documents) {
      passOver(documents.map(({ id }) => id));
      return documents.map(({ id }) => expansions.get(id));
    },
    passOver,
    close(complete) {
      const left = expansions.size - used.size;
      if (left === 0 || !complete) return;
      const [first] = [...expansions.keys()].filter((id) => !used.has(id));
      warnings.add(
        "EXPANSION_DOCUMENT_UNKNOWN",
        "expansions of documents that did not come",
        `${path} (${first})`,
        left,
      );
    },
  };
}

/**
 * Opens what expands documents.
 *
 * @param place a folder of TILDE, or a file, see `readExpansions`
 * @throws EXPANSION_SOURCE for another folder, or where nothing is, and what `loadTilde` and `readExpansions` throw
 * @example
 * const expander = await openDocumentExpander("questions.jsonl", warnings);
 * index.add(expander.expand([{ id: "1", text: "A stoat is a small animal." }]));
 */
export async function openDocumentExpander(place: string, warnings: DataWarnings): Promise<DocumentExpander> {
  const kind = modelKinds.find(({ recognises }) => recognises(place));
  const there = statSync(place, { throwIfNoEntry: false });
  if (kind === undefined && (there === undefined || there.isDirectory())) {
    throw new ClozeError("EXPANSION_SOURCE", `${place} holds no model that expands documents`, {
      expected: "a folder of cloze train-retrieval --part tilde, or a file of ids and queries",
      received: there === undefined ? "nothing" : "another folder",
      remedy: "Name such a file, what doc2query wrote say, or train a TILDE.",
    });
  }
  const source = kind === undefined ? await ofFile(place, warnings) : kind.open(place);
  let expanded = 0;
  return {
    get expanded() {
      return expanded;
    },
    expand(documents) {
      const found = source.of(documents);
      return documents.map((document, i) => {
        const expansion = found[i] ?? "";
        if (expansion === "") return document;
        expanded++;
        return { ...document, expansion };
      });
    },
    passOver: (ids) => source.passOver?.(ids),
    close: (complete = true) => source.close(complete),
  };
}

/** Documents that are expanded at once: enough to batch by length. */
const chunk = 256;

/** Documents as they come, expanded. */
export async function* expandAll<Document extends Expandable>(
  documents: AsyncIterable<Document>,
  expander: Pick<DocumentExpander, "expand">,
): AsyncGenerator<Document> {
  let batch: Document[] = [];
  for await (const document of documents) {
    batch.push(document);
    if (batch.length < chunk) continue;
    yield* expander.expand(batch);
    batch = [];
  }
  yield* expander.expand(batch);
}
