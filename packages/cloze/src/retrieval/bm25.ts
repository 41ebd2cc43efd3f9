import type { SearchHit } from "./search-hit.js";

export interface Bm25Options {
  /** How soon repeats of a word stop counting; 1.2 unless told. */
  k1?: number;
  /** How much long documents are held back, 0 to 1; 0.75 unless told. */
  b?: number;
}

/** Lower-case runs of letters and digits. */
export function splitWords(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** An inverted index that scores with BM25 (Lucene's always-positive idf); postings lie in typed arrays. */
export class Bm25Index {
  readonly size: number;
  readonly #words = new Map<string, number>();
  /** Postings of word w: entries `#starts[w]` to `#starts[w + 1]`. */
  readonly #starts: Int32Array;
  readonly #documents: Int32Array;
  /** The whole contribution of a word to a document's score, worked out at indexing. */
  readonly #weights: Float32Array;

  constructor(documents: readonly string[], options: Bm25Options = {}) {
    const { k1 = 1.2, b = 0.75 } = options;
    this.size = documents.length;
    const lengths = new Int32Array(documents.length);
    const entryWords: number[] = [];
    const entryDocuments: number[] = [];
    const entryCounts: number[] = [];
    let total = 0;
    for (const [document, text] of documents.entries()) {
      const counts = new Map<number, number>();
      for (const word of splitWords(text)) {
        let id = this.#words.get(word);
        if (id === undefined) {
          id = this.#words.size;
          this.#words.set(word, id);
        }
        counts.set(id, (counts.get(id) ?? 0) + 1);
        lengths[document]++;
      }
      total += lengths[document];
      for (const [word, count] of counts) {
        entryWords.push(word);
        entryDocuments.push(document);
        entryCounts.push(count);
      }
    }
    const starts = new Int32Array(this.#words.size + 1);
    for (const word of entryWords) starts[word + 1]++;
    for (let word = 0; word < this.#words.size; word++) starts[word + 1] += starts[word];
    const next = starts.slice();
    this.#starts = starts;
    this.#documents = new Int32Array(entryWords.length);
    this.#weights = new Float32Array(entryWords.length);
    const averageLength = total / Math.max(1, documents.length);
    for (let entry = 0; entry < entryWords.length; entry++) {
      const word = entryWords[entry];
      const document = entryDocuments[entry];
      const count = entryCounts[entry];
      const frequency = starts[word + 1] - starts[word];
      const inverse = Math.log(1 + (documents.length - frequency + 0.5) / (frequency + 0.5));
      const place = next[word]++;
      const lengthPart = k1 * (1 - b + (b * lengths[document]) / averageLength);
      this.#documents[place] = document;
      this.#weights[place] = (inverse * count * (k1 + 1)) / (count + lengthPart);
    }
  }

  /** The score of every document; a word that the query repeats counts each time. */
  scores(query: string): Float32Array {
    const scores = new Float32Array(this.size);
    for (const text of splitWords(query)) {
      const word = this.#words.get(text);
      if (word === undefined) continue;
      for (let place = this.#starts[word]; place < this.#starts[word + 1]; place++) {
        scores[this.#documents[place]] += this.#weights[place];
      }
    }
    return scores;
  }

  /** The `k` best documents that share a word with the query, best first; equal scores in document order. */
  search(query: string, k: number): SearchHit[] {
    const hits: SearchHit[] = [];
    for (const [index, score] of this.scores(query).entries()) if (score > 0) hits.push({ index, score });
    return hits.sort((left, right) => right.score - left.score || left.index - right.index).slice(0, k);
  }
}
