// Files of any size become documents with their structure on disk, for objectives that read paragraphs: streamed, looked through
// for duplicates, split.

import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import { type CorpusPlan, changed, type Deduplication, planOf, statesOf } from "../data/corpus/build-corpus.js";
import { documentStates } from "../data/corpus/corpus.js";
import { findCorpusFiles } from "../data/corpus/corpus-files.js";
import { hashTokens, minHash, signatureSize } from "../data/corpus/token-hash.js";
import type { DocumentSource, TokenDocument } from "../data/document-source.js";
import { openDocumentStore, removeDocumentStore, writeDocumentStore } from "../data/document-store.js";
import { joinArrays } from "../data/join-arrays.js";
import { createWarnings, type DataWarning } from "../data/readers/warnings.js";
import { ClozeError } from "../errors.js";
import type { Tokenizer } from "../text/index.js";
import { readTextDocuments } from "./read-documents.js";
import { type NamedDocument, resolveLinks, titlePositions, tokenizeDocument } from "./tokenize-documents.js";

export interface BuildDocumentsOptions {
  /** Files, folders or patterns; see `readTextDocuments`. */
  readonly sources: readonly string[];
  readonly tokenizer: Tokenizer;
  /** Where the documents go; other files stand beside it. */
  readonly path: string;
  /** The field of rows that holds the text. Default: `text`, or the only one with strings. */
  readonly textField?: string;
  /** Default "none". */
  readonly deduplicate?: Deduplication;
  /** Overlap from which two documents are nearly the same. Default 0.8. */
  readonly nearThreshold?: number;
  /** Share of the documents that is held out, by the hash of their tokens. Default 0. */
  readonly validationShare?: number;
  /** Open what is there, and refuse when the files are others than they were. */
  readonly resume?: boolean;
}

export interface BuiltDocuments {
  readonly documents: DocumentSource & { close(): void };
  readonly counts: DocumentCounts;
  readonly warnings: readonly DataWarning[];
  /** False when they were there already. */
  readonly built: boolean;
}

/** Documents by what became of them. */
export interface DocumentCounts {
  readonly training: number;
  readonly validation: number;
  readonly duplicates: number;
  readonly short: number;
}

interface Manifest extends Pick<BuiltDocuments, "counts" | "warnings"> {
  readonly plan: CorpusPlan;
}

const manifestPath = (path: string): string => `${path}.json`;
const validationPath = (path: string): string => `${path}.validation`;

function readManifest(path: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(manifestPath(path), "utf8")) as Manifest;
  } catch {
    return undefined;
  }
}

/** A document whose tokens lie in the spool. */
interface Spooled {
  readonly title: string | undefined;
  /** Its first token in the spool, and how many the title has. */
  readonly start: number;
  readonly titleLength: number;
  /** By section and paragraph: lengths of sentences, and names of links. */
  readonly sections: readonly (readonly { readonly lengths: Int32Array; readonly links: readonly string[] }[])[];
}

/** Tokens of documents in a file while it is not known yet which of them stay. */
function openSpool(path: string) {
  const file = openSync(path, "w+");
  let tokens = 0;
  const append = (ids: Int32Array): void => {
    const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
    tokens += ids.length;
  };
  return {
    add({ title, ids, sections }: NamedDocument, whole: Int32Array): Spooled {
      const start = tokens;
      append(whole);
      const shape = sections.map((section) =>
        section.map(({ sentences, links }) => ({ lengths: Int32Array.from(sentences, (one) => one.length), links })),
      );
      return { title, start, titleLength: ids.length, sections: shape };
    },
    read({ title, start, titleLength, sections }: Spooled): NamedDocument {
      const sum = (lengths: Int32Array): number => lengths.reduce((all, length) => all + length, 0);
      const size = sections.flat().reduce((all, { lengths }) => all + sum(lengths), titleLength);
      const words = new Int32Array(size);
      const bytes = new Uint8Array(words.buffer);
      for (let done = 0; done < bytes.length; ) {
        const count = readSync(file, bytes, done, bytes.length - done, 4 * start + done);
        if (count === 0) throw new Error(`${path} ended early`);
        done += count;
      }
      let at = titleLength;
      const named = sections.map((section) =>
        section.map(({ lengths, links }) => ({
          sentences: Array.from(lengths, (length) => {
            at += length;
            return words.subarray(at - length, at);
          }),
          links,
        })),
      );
      return { title, ids: words.subarray(0, titleLength), sections: named };
    },
    remove() {
      closeSync(file);
      rmSync(path, { force: true });
    },
  };
}

/** All tokens of a document, one after the other. */
const tokensOf = ({ ids, sections }: NamedDocument): Int32Array =>
  joinArrays([ids, ...sections.flat().flatMap(({ sentences }) => sentences)], Int32Array);

const open = (path: string): BuiltDocuments["documents"] => {
  const training = openDocumentStore(path);
  if (!existsSync(validationPath(path))) return training;
  const heldOut = openDocumentStore(validationPath(path));
  return {
    ...training,
    heldOut,
    close() {
      training.close();
      heldOut.close();
    },
  };
};

/**
 * Makes a store of the documents of files; tokens go through a file, so that memory grows with the number of sentences only.
 * Documents of fewer than 200 letters are left out. What is there already of the same files is opened.
 *
 * @throws CORPUS_FILE_MISSING, CORPUS_EMPTY, CORPUS_CHANGED on `resume`, DOCUMENT_FORMAT, CORPUS_TEXT_FIELD, FILE_WRITE,
 * DISK_FULL
 */
export async function buildDocuments(options: BuildDocumentsOptions): Promise<BuiltDocuments> {
  const { sources, tokenizer, path, textField, deduplicate = "none", resume = false } = options;
  const warnings = createWarnings();
  const files = sources.map((source) => findCorpusFiles([source], warnings));
  const plan = planOf(files, { ...options, deduplicate });
  const before = readManifest(path);
  if (before !== undefined && resume && before.plan.fingerprint !== plan.fingerprint) throw changed(before.plan, plan);
  if (before?.plan.fingerprint === plan.fingerprint && existsSync(path)) {
    return { documents: open(path), counts: before.counts, warnings: before.warnings, built: false };
  }
  mkdirSync(dirname(path), { recursive: true });
  for (const old of [path, validationPath(path)]) removeDocumentStore(old);
  rmSync(manifestPath(path), { force: true });
  const spool = openSpool(`${path}.part`);
  try {
    const all: Spooled[] = [];
    const hashes: number[] = [];
    const signatures: Uint8Array[] = [];
    const words = new Uint32Array(2);
    let short = 0;
    for await (const text of readTextDocuments(files.flat(), { textField }, warnings)) {
      const document = tokenizeDocument(text, tokenizer);
      const whole = document === undefined ? new Int32Array(0) : tokensOf(document);
      if (document === undefined || whole.length === 0) {
        short++;
        continue;
      }
      hashTokens(whole, 0, whole.length, words, 0);
      hashes.push(words[0], words[1]);
      if (deduplicate === "near") {
        const signature = new Uint8Array(signatureSize);
        minHash(whole, 0, whole.length, signature, 0);
        signatures.push(signature);
      }
      all.push(spool.add(document, whole));
    }
    if (all.length === 0) {
      throw new ClozeError("CORPUS_EMPTY", "The files have no document of at least 200 letters", {
        expected: "paragraphs separated by a blank line, documents by two; or JSON lines with title and text",
        received: `${short} shorter one(s)`,
        remedy: "Objectives that read plain lines need no paragraphs: see cloze pretrain --help.",
      });
    }
    const hashed = {
      starts: [0, all.length],
      hashes: () => Uint32Array.from(hashes),
      signatures: () => Uint8Array.from(Buffer.concat(signatures)),
    };
    const states = statesOf(hashed, { ...options, deduplicate }, warnings);
    const write = (to: string, state: number): number => {
      const kept = all.filter((_, i) => states[i] === state);
      const byTitle = titlePositions(kept.map(({ title }) => title));
      function* documents(): Iterable<TokenDocument> {
        for (const [own, spooled] of kept.entries()) {
          const { ids, sections } = spool.read(spooled);
          yield { title: ids, sections: resolveLinks(sections, own, byTitle) };
        }
      }
      if (kept.length > 0) writeDocumentStore(to, documents());
      return kept.length;
    };
    const training = write(path, documentStates.training);
    const validation = write(validationPath(path), documentStates.validation);
    const counts = { training, validation, duplicates: all.length - training - validation, short };
    const manifest: Manifest = { plan, counts, warnings: warnings.list() };
    writeFileAtomic(manifestPath(path), JSON.stringify(manifest));
    return { documents: open(path), counts, warnings: manifest.warnings, built: true };
  } finally {
    spool.remove();
  }
}
