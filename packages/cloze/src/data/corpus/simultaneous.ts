// Pre-training on a small and a large corpus at the same time (arXiv 2005.07202): the small one is seen as often as it takes
// for both to have their shares, shard by shard, and pairs of segments are drawn across both.
import { ClozeError } from "../../errors.js";
import { joinArrays } from "../join-arrays.js";
import { type RandomSource, randomOrder, randomSource } from "../random-source.js";

/** How often the small corpus counts beside the large one: round(large / small), at least 1. */
export const amplification = (largeBytes: number, smallBytes: number): number =>
  Math.max(1, Math.round(largeBytes / smallBytes));

/** {@link amplification} of each corpus beside the largest; 0 for an empty one. */
export function amplifications(bytes: readonly number[]): number[] {
  const largest = Math.max(...bytes);
  return bytes.map((size) => (size === 0 ? 0 : amplification(largest, size)));
}

/** A text that counts several times. */
export interface WeightedText {
  readonly text: string;
  readonly times: number;
}

/**
 * Texts of corpora so that each counts as much as the largest: what a vocabulary is learned from that keeps the words of the
 * small ones whole ("amplified vocabulary").
 *
 * @example
 * const tokenizer = trainWordPiece(amplified([readLines("novels.txt"), readLines("law.txt")]), { vocabularySize: 8000 });
 */
export function* amplified(corpora: readonly Iterable<string>[]): Generator<WeightedText> {
  const sizes = corpora.map((texts) => {
    let bytes = 0;
    for (const text of texts) bytes += Buffer.byteLength(text);
    return bytes;
  });
  for (const [c, times] of amplifications(sizes).entries()) {
    if (times > 0) for (const text of corpora[c]) yield { text, times };
  }
}

/** A corpus in shards of about equal size; documents are never divided. */
export interface ShardedCorpus<Document> {
  readonly shards: readonly (readonly Document[])[];
}

/**
 * Distributes documents over round(size / shardSize) shards (at least one) of about equal size, the largest first.
 *
 * @param sizeOf bytes or tokens of a document
 */
export function shardDocuments<Document>(
  documents: readonly Document[],
  sizeOf: (document: Document) => number,
  shardSize: number,
): ShardedCorpus<Document> {
  const sizes = documents.map(sizeOf);
  const total = sizes.reduce((a, b) => a + b, 0);
  const count = Math.max(1, Math.min(documents.length, Math.round(total / shardSize)));
  const shards = Array.from({ length: count }, (): Document[] => []);
  const filled = new Float64Array(count);
  const order = documents.map((_, i) => i).sort((a, b) => sizes[b] - sizes[a] || a - b);
  for (const document of order) {
    let least = 0;
    for (let s = 1; s < count; s++) if (filled[s] < filled[least]) least = s;
    shards[least].push(documents[document]);
    filled[least] += sizes[document];
  }
  return { shards };
}

/**
 * Which shards stand in which file: for each corpus repeated random permutations of its shards, cut to files x shardsPerFile,
 * so that every shard comes before any comes again.
 *
 * @param counts shards of each corpus
 * @param perFile shards of each corpus in a file
 * @returns [files][corpora][shards]
 * @throws CORPUS_WEIGHTS
 */
export function mixFiles(
  counts: readonly number[],
  perFile: readonly number[],
  files: number,
  seed: number,
): number[][][] {
  if (counts.length !== perFile.length || counts.some((count) => count < 1) || perFile.some((count) => count < 0)) {
    throw new ClozeError("CORPUS_WEIGHTS", "Each corpus has shards, and a number of them for each file", {
      expected: `${counts.length} numbers`,
      received: `shards ${counts.join(", ")}; for each file ${perFile.join(", ")}`,
    });
  }
  const orders = counts.map((count, corpus) => {
    const wanted = files * perFile[corpus];
    const order: number[] = [];
    for (let round = 0; order.length < wanted; round++) {
      order.push(...randomOrder(count, randomSource(seed, corpus, round)));
    }
    return order.slice(0, wanted);
  });
  return Array.from({ length: files }, (_, file) =>
    orders.map((order, corpus) => order.slice(file * perFile[corpus], (file + 1) * perFile[corpus])),
  );
}

/** Two segments, where they come from, and whether the second is a random one. */
export interface SegmentInstance {
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly document: number;
  readonly partner: number;
  readonly isRandomNext: boolean;
}

const join = (sentences: readonly Int32Array[]): Int32Array => joinArrays(sentences, Int32Array);

/**
 * BERT's instances of one file: sentences of a document are collected up to a length and cut in two; with a chance of one
 * half, or where there is one sentence only, the second part comes from another document of the file, and the sentences that
 * were not used are put back. Since a file holds all corpora, what is random may be of another one.
 *
 * @param documents sentences of tokens
 * @param length tokens of both segments together
 */
export function segmentInstances(
  documents: readonly (readonly Int32Array[])[],
  length: number,
  random: RandomSource,
): SegmentInstance[] {
  const instances: SegmentInstance[] = [];
  for (const document of randomOrder(documents.length, random)) {
    const sentences = documents[document];
    for (let i = 0; i < sentences.length; ) {
      let end = i;
      let tokens = 0;
      while (end < sentences.length && (tokens === 0 || tokens + sentences[end].length <= length)) {
        tokens += sentences[end++].length;
      }
      const chunk = sentences.slice(i, end);
      const cut = chunk.length > 1 ? 1 + Math.floor(random() * (chunk.length - 1)) : 1;
      const first = chunk.slice(0, cut);
      const other = chunk.length === 1 || random() < 0.5 ? otherDocument(documents, document, random) : undefined;
      if (other === undefined) {
        if (chunk.length === 1) break;
        const second = join(chunk.slice(cut));
        instances.push({ first: join(first), second, document, partner: document, isRandomNext: false });
        i = end;
        continue;
      }
      const room = Math.max(1, length - first.reduce((sum, one) => sum + one.length, 0));
      const theirs = documents[other];
      const start = Math.floor(random() * theirs.length);
      const second: Int32Array[] = [];
      let used = 0;
      for (let s = start; s < theirs.length && used < room; s++) {
        second.push(theirs[s]);
        used += theirs[s].length;
      }
      instances.push({ first: join(first), second: join(second), document, partner: other, isRandomNext: true });
      i += cut;
    }
  }
  return instances;
}

/** Another document of the file; undefined where ten tries find none. */
function otherDocument(
  documents: readonly (readonly Int32Array[])[],
  document: number,
  random: RandomSource,
): number | undefined {
  for (let tries = 0; tries < 10; tries++) {
    const drawn = Math.floor(random() * documents.length);
    if (drawn !== document && documents[drawn].length > 0) return drawn;
  }
  return undefined;
}
