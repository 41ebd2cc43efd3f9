// Which documents hold a term, and how often: built document by document, read term by term.

/** The documents of a term, in ascending order, and its count in each. */
export interface TermPostings {
  readonly documents: Uint32Array;
  readonly counts: Uint16Array;
}

/** Postings of a set of documents, wherever they lie. */
export interface Postings {
  /** Terms in each document, repeats included: [documents] */
  readonly lengths: Uint32Array;
  /** Number of documents that hold a term. */
  frequency(term: string): number;
  /** undefined where no document holds it. */
  read(term: string): TermPostings | undefined;
}

/** Postings in memory. Those of term t stand from `starts[t]` to `starts[t + 1]`. */
export interface MemoryPostings extends Postings {
  readonly terms: ReadonlyMap<string, number>;
  readonly starts: Uint32Array;
  readonly documents: Uint32Array;
  readonly counts: Uint16Array;
}

export interface PostingsBuilder {
  /** Documents so far. */
  readonly size: number;
  /**
   * Adds the next document.
   *
   * @param counts how often each term counts, from 1 to 65,535; each once unless told
   */
  add(terms: readonly string[], counts?: ArrayLike<number>): void;
  /** @param keep documents for which it says no are left out, as if they were empty */
  finish(keep?: (document: number) => boolean): MemoryPostings;
}

/** Counts are kept in 16 bits; BM25 has long levelled off there. */
const largestCount = 0xffff;

function grown<T extends Uint32Array | Uint16Array | Int32Array>(array: T, wanted: number): T {
  if (wanted <= array.length) return array;
  const larger = new (array.constructor as new (length: number) => T)(Math.max(wanted, array.length * 2));
  larger.set(array);
  return larger;
}

/** A term that was cut from a text would hold the whole text in memory. */
const ownCopy = (term: string): string => (term.length < 13 ? term : Buffer.from(term, "utf8").toString("utf8"));

/** An empty builder. */
export function createPostingsBuilder(): PostingsBuilder {
  const terms = new Map<string, number>();
  let lastEntries: Int32Array<ArrayBuffer> = new Int32Array(1024);
  let entryTerms: Uint32Array<ArrayBuffer> = new Uint32Array(4096);
  let entryCounts: Uint16Array<ArrayBuffer> = new Uint16Array(4096);
  let documentStarts: Uint32Array<ArrayBuffer> = new Uint32Array(1024);
  let lengths: Uint32Array<ArrayBuffer> = new Uint32Array(1024);
  let entries = 0;
  let size = 0;
  return {
    get size() {
      return size;
    },
    add(document, times) {
      const first = entries;
      entryTerms = grown(entryTerms, entries + document.length);
      entryCounts = grown(entryCounts, entries + document.length);
      for (let place = 0; place < document.length; place++) {
        const word = document[place];
        const count = times?.[place] ?? 1;
        let term = terms.get(word);
        if (term === undefined) {
          term = terms.size;
          terms.set(ownCopy(word), term);
          lastEntries = grown(lastEntries, term + 1);
          lastEntries[term] = -1;
        }
        const last = lastEntries[term];
        if (last >= first) {
          entryCounts[last] = Math.min(largestCount, entryCounts[last] + count);
        } else {
          lastEntries[term] = entries;
          entryTerms[entries] = term;
          entryCounts[entries++] = Math.min(largestCount, count);
        }
      }
      documentStarts = grown(documentStarts, size + 2);
      lengths = grown(lengths, size + 1);
      documentStarts[size + 1] = entries;
      lengths[size++] = document.length;
    },
    finish(keep = () => true) {
      const kept = lengths.slice(0, size);
      const starts = new Uint32Array(terms.size + 1);
      for (let document = 0; document < size; document++) {
        if (!keep(document)) {
          kept[document] = 0;
          continue;
        }
        for (let e = documentStarts[document]; e < documentStarts[document + 1]; e++) starts[entryTerms[e] + 1]++;
      }
      for (let term = 0; term < terms.size; term++) starts[term + 1] += starts[term];
      const next = starts.slice();
      const documents = new Uint32Array(starts[terms.size]);
      const counts = new Uint16Array(documents.length);
      for (let document = 0; document < size; document++) {
        if (!keep(document)) continue;
        for (let e = documentStarts[document]; e < documentStarts[document + 1]; e++) {
          const place = next[entryTerms[e]]++;
          documents[place] = document;
          counts[place] = entryCounts[e];
        }
      }
      return {
        terms,
        starts,
        documents,
        counts,
        lengths: kept,
        frequency(word) {
          const term = terms.get(word);
          return term === undefined ? 0 : starts[term + 1] - starts[term];
        },
        read(word) {
          const term = terms.get(word);
          if (term === undefined || starts[term] === starts[term + 1]) return undefined;
          const [start, end] = [starts[term], starts[term + 1]];
          return { documents: documents.subarray(start, end), counts: counts.subarray(start, end) };
        },
      };
    },
  };
}
