// The documents of a test collection in memory, as the retrievers of its evaluation want them.
import { type Tensor, tensor } from "@cloze/tensor";
import type { DataWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import { Bm25Index, type Bm25Options } from "../bm25.js";
import { createExactIndex } from "../exact.js";
import { createLateInteractionIndex } from "../late-interaction/late-interaction-index.js";
import { createImpactIndex, type SparseVector } from "../learned-sparse/impact-index.js";
import { createAnalyzer } from "../lexical/analyzer.js";
import { createPostingsBuilder } from "../lexical/postings.js";
import {
  bm25Retriever,
  denseRetriever,
  impactRetriever,
  lateInteractionRetriever,
} from "../pipeline/memory-retrievers.js";
import type { Retriever } from "../pipeline/retriever.js";
import type { TextEncoder, TextVectors } from "../pipeline/text-vectors.js";
import { memoryWordIndex, type WordIndex } from "../pipeline/word-index.js";
import { type CollectionDocument, expandedText, fullText } from "./texts.js";

export interface CollectionIndexOptions {
  /** Index words; default true. */
  lexical?: boolean;
  bm25?: Bm25Options;
  /** Keep the texts with the words, for what searches twice (`words`); default false. */
  keepTexts?: boolean;
  /** Index vectors with it. */
  vectors?: TextVectors;
  /** Index weighted terms with it. */
  sparse?: TextEncoder<SparseVector>;
  /** Index the vectors of tokens with it. */
  tokens?: TextEncoder<Float32Array> & { readonly width: number };
  warnings: DataWarnings;
  /** Called with the number of documents that were read. */
  onProgress?: (documents: number) => void;
}

export interface CollectionIndex {
  /** Distinct documents. */
  readonly size: number;
  has(id: string): boolean;
  readonly bm25?: Retriever;
  /** Where texts were kept. */
  readonly words?: WordIndex;
  readonly dense?: Retriever;
  readonly sparse?: Retriever;
  readonly tokens?: Retriever;
  dispose(): void;
}

/** Texts that are embedded at once: enough to batch by length. */
const chunk = 1024;

/** Vectors row by row, in blocks, without a copy of all at the end but one. */
function createVectorStore(width: number) {
  const blocks: Float32Array[] = [];
  let rows = 0;
  return {
    add(vectors: Float32Array) {
      blocks.push(vectors);
      rows += vectors.length / width;
    },
    finish(): Tensor {
      const all = new Float32Array(rows * width);
      let at = 0;
      for (const block of blocks.splice(0)) {
        all.set(block, at);
        at += block.length;
      }
      if (!all.every(Number.isFinite)) {
        throw new ClozeError("INDEX_VECTOR", "A document's vector holds a number that is not finite", {
          expected: "finite numbers",
          received: "NaN or infinity",
          remedy: "The model is damaged: check its weights.",
        });
      }
      return tensor(all, [rows, width]);
    },
  };
}

/**
 * Reads and indexes documents one after another; only their words and vectors are kept. Of documents with the same id the
 * last counts.
 *
 * @throws INDEX_VECTOR
 */
export async function indexCollection(
  documents: AsyncIterable<CollectionDocument>,
  { lexical = true, bm25, keepTexts = false, vectors, sparse, tokens, warnings, onProgress }: CollectionIndexOptions,
): Promise<CollectionIndex> {
  const analyze = createAnalyzer(bm25);
  const postings = createPostingsBuilder();
  const store = vectors === undefined ? undefined : createVectorStore(vectors.width);
  const numbers = new Map<string, number>();
  const ids: string[] = [];
  const dead = new Set<number>();
  const terms: SparseVector[] = [];
  const tokenVectors: Float32Array[] = [];
  const kept: string[] = [];
  const encodes = vectors !== undefined || sparse !== undefined || tokens !== undefined;
  let texts: string[] = [];
  /** The same with what expands them, for weights of words. */
  let expanded: string[] = [];
  const embed = async () => {
    if (texts.length === 0) return;
    if (vectors !== undefined) store?.add(await vectors.embed(texts, "document"));
    for (const one of sparse?.encode(expanded, { role: "document" }) ?? []) terms.push(one);
    for (const one of tokens?.encode(texts, { role: "document" }) ?? []) tokenVectors.push(one);
    texts = [];
    expanded = [];
  };
  for await (const document of documents) {
    const { id } = document;
    const before = numbers.get(id);
    if (before !== undefined) {
      dead.add(before);
      warnings.add("DATA_ID_DUPLICATE", "ids that occur again; the last counts", id);
    }
    numbers.set(id, ids.length);
    ids.push(id);
    const text = expandedText(document);
    if (lexical) postings.add(analyze(text));
    if (lexical && keepTexts) kept.push(text);
    if (encodes) {
      texts.push(fullText(document));
      expanded.push(text);
    }
    if (texts.length === chunk) await embed();
    if (ids.length % 256 === 0) onProgress?.(ids.length);
  }
  await embed();
  onProgress?.(ids.length);
  const exact = store === undefined ? undefined : createExactIndex(store.finish());
  const keep = dead.size === 0 ? undefined : (document: number) => !dead.has(document);
  const words = lexical ? new Bm25Index(postings, { ...bm25, keep }) : undefined;
  return {
    size: numbers.size,
    has: (id) => numbers.has(id),
    bm25: words && bm25Retriever(words, ids),
    words: words && keepTexts ? memoryWordIndex(words, ids, (document) => kept[document]) : undefined,
    dense: exact && vectors && denseRetriever(exact, ids, vectors, dead),
    sparse: sparse && impactRetriever(createImpactIndex(terms), ids, sparse, dead),
    tokens:
      tokens && lateInteractionRetriever(createLateInteractionIndex(tokenVectors, tokens.width), ids, tokens, { dead }),
    dispose: () => exact?.dispose(),
  };
}
