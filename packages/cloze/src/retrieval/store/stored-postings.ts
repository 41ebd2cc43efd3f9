// Postings on disk: the dictionary in memory as bytes, the lists read when a query asks for them.
import type { MemoryPostings, Postings } from "../lexical/postings.js";
import type { DerivedFile } from "./derived-file.js";

/** Texts as bytes, one after another, with where each begins. */
export function packTexts(texts: readonly string[]): { bytes: Buffer; offsets: Uint32Array } {
  const offsets = new Uint32Array(texts.length + 1);
  for (let i = 0; i < texts.length; i++) offsets[i + 1] = offsets[i] + Buffer.byteLength(texts[i]);
  const bytes = Buffer.alloc(offsets[texts.length]);
  for (let i = 0; i < texts.length; i++) bytes.write(texts[i], offsets[i]);
  return { bytes, offsets };
}

/** Arrays of postings, the terms sorted, under names that begin with `prefix`. */
export function postingsArrays(prefix: string, postings: MemoryPostings): Record<string, ArrayBufferView> {
  const { terms, starts, documents, counts, lengths } = postings;
  const sorted = [...terms].filter(([, term]) => starts[term] < starts[term + 1]);
  sorted.sort(([a], [b]) => (a < b ? -1 : 1));
  const words = packTexts(sorted.map(([word]) => word));
  const newStarts = new Uint32Array(sorted.length + 1);
  const newDocuments = new Uint32Array(documents.length);
  const newCounts = new Uint16Array(counts.length);
  let at = 0;
  for (const [i, [, term]] of sorted.entries()) {
    newDocuments.set(documents.subarray(starts[term], starts[term + 1]), at);
    newCounts.set(counts.subarray(starts[term], starts[term + 1]), at);
    at += starts[term + 1] - starts[term];
    newStarts[i + 1] = at;
  }
  return {
    [`${prefix}.words`]: words.bytes,
    [`${prefix}.offsets`]: words.offsets,
    [`${prefix}.starts`]: newStarts,
    [`${prefix}.documents`]: newDocuments,
    [`${prefix}.counts`]: newCounts,
    [`${prefix}.lengths`]: lengths,
  };
}

/** Postings that can also be listed by the beginning of their terms. */
export interface ListedPostings extends Postings {
  /** Terms that begin with a text. */
  termsFrom(prefix: string): Iterable<string>;
}

/** Terms of postings in memory, listed. */
export const listed = (postings: MemoryPostings): ListedPostings => ({
  lengths: postings.lengths,
  frequency: postings.frequency,
  read: postings.read,
  *termsFrom(prefix) {
    for (const term of postings.terms.keys()) if (term.startsWith(prefix)) yield term;
  },
});

const noPostings: ListedPostings = {
  lengths: new Uint32Array(0),
  frequency: () => 0,
  read: () => undefined,
  *termsFrom() {},
};

/** What {@link postingsArrays} wrote, of an open file; none where it wrote nothing of that name. */
export function openPostings(file: DerivedFile, prefix: string): ListedPostings {
  if (!file.has(`${prefix}.words`)) return noPostings;
  const words = Buffer.from(file.read(`${prefix}.words`, Uint8Array).buffer);
  const offsets = file.read(`${prefix}.offsets`, Uint32Array);
  const starts = file.read(`${prefix}.starts`, Uint32Array);
  const size = offsets.length - 1;
  const wordAt = (place: number): string => words.toString("utf8", offsets[place], offsets[place + 1]);
  /** The first place whose word is not before `term`. */
  const placeOf = (term: string): number => {
    let [low, high] = [0, size];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (wordAt(middle) < term) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const find = (term: string): number | undefined => {
    const place = placeOf(term);
    return place < size && wordAt(place) === term ? place : undefined;
  };
  return {
    lengths: file.read(`${prefix}.lengths`, Uint32Array),
    frequency(term) {
      const place = find(term);
      return place === undefined ? 0 : starts[place + 1] - starts[place];
    },
    read(term) {
      const place = find(term);
      if (place === undefined) return undefined;
      const [start, count] = [starts[place], starts[place + 1] - starts[place]];
      return {
        documents: file.read(`${prefix}.documents`, Uint32Array, start, count),
        counts: file.read(`${prefix}.counts`, Uint16Array, start, count),
      };
    },
    *termsFrom(prefix) {
      for (let place = placeOf(prefix); place < size; place++) {
        const term = wordAt(place);
        if (!term.startsWith(prefix)) return;
        yield term;
      }
    },
  };
}
