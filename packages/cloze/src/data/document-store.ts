// Documents with their structure on disk: sentences in a token store, and how they belong together in another one.
import { rmSync } from "node:fs";
import type { DocumentSource, TokenDocument, TokenParagraph } from "./document-source.js";
import { openTokenStore, writeTokenStore } from "./token-store.js";

/** Documents in memory. */
export function memoryDocuments(documents: readonly TokenDocument[]): DocumentSource {
  const lengths = documents.map(lengthOf);
  return {
    count: documents.length,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    length: (position) => lengths[position],
    document: (position) => documents[position],
  };
}

const paragraphsOf = ({ sections }: TokenDocument): TokenParagraph[] => sections.flat();
const lengthOf = (document: TokenDocument): number =>
  paragraphsOf(document).reduce(
    (sum, { sentences }) => sum + sentences.reduce((words, { length }) => words + length, 0),
    document.title.length,
  );

const structurePath = (path: string): string => `${path}.structure`;

/**
 * Writes documents as they come; sentences are not empty. Beside `path` stands `path.structure`: for each document its first
 * sequence, its tokens, whether that sequence is a title, and the sizes of its sections and paragraphs with their links.
 *
 * @throws TOKEN_STORE_EMPTY, FILE_WRITE, DISK_FULL
 */
export function writeDocumentStore(path: string, documents: Iterable<TokenDocument>): void {
  const structures: number[][] = [];
  function* sequences(): Iterable<Int32Array> {
    let next = 0;
    for (const document of documents) {
      const { title, sections } = document;
      const structure = [next, lengthOf(document), Number(title.length > 0), sections.length];
      if (title.length > 0) {
        yield title;
        next++;
      }
      for (const section of sections) {
        structure.push(section.length);
        for (const { sentences, links = [] } of section) {
          structure.push(sentences.length, links.length, ...links);
          yield* sentences;
          next += sentences.length;
        }
      }
      structures.push(structure);
    }
  }
  writeTokenStore(path, sequences());
  writeTokenStore(structurePath(path), structures);
}

/** Removes what `writeDocumentStore` wrote, if it is there. */
export function removeDocumentStore(path: string): void {
  for (const file of [path, structurePath(path)]) rmSync(file, { force: true });
}

/** Opens what `writeDocumentStore` wrote. @throws TOKEN_STORE_INVALID */
export function openDocumentStore(path: string): DocumentSource & { close(): void } {
  const text = openTokenStore(path);
  const structure = openTokenStore(structurePath(path));
  const lengths = Int32Array.from({ length: structure.count }, (_, i) => structure.sequence(i)[1]);
  return {
    count: structure.count,
    tokens: text.tokens,
    length: (position) => lengths[position],
    document(position) {
      const numbers = structure.sequence(position);
      let at = 4;
      let next = numbers[0];
      const take = () => numbers[at++];
      const title = numbers[2] === 1 ? text.sequence(next++) : new Int32Array(0);
      const sections = Array.from({ length: numbers[3] }, () =>
        Array.from({ length: take() }, (): TokenParagraph => {
          const [sentences, links] = [take(), take()];
          const targets = Array.from({ length: links }, take);
          return {
            sentences: Array.from({ length: sentences }, () => text.sequence(next++)),
            ...(links > 0 ? { links: targets } : {}),
          };
        }),
      );
      return { title, sections };
    },
    close() {
      text.close();
      structure.close();
    },
  };
}
