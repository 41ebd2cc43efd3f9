// BM25 over the segments of an index, as if they were one.
import type { Steps } from "../../text/steps.js";
import type { Ranking, ScoredDocument } from "../evaluation/ranking.js";
import {
  type Bm25Parameters,
  lengthNorms,
  type ShareBound,
  shareBounds,
  type WeightedTerms,
  weighTerms,
} from "../lexical/bm25-formula.js";
import type { TermPostings } from "../lexical/postings.js";
import { searchScratch, topDocuments } from "../lexical/top-documents.js";
import type { IndexSearchOptions } from "./contract.js";
import { type LiveSegments, skipped } from "./live-segments.js";
import type { Segment } from "./segment.js";

/** Searches that see the index as it is when they are asked. */
export function createWordSearch(live: LiveSegments, bm25: Required<Bm25Parameters>) {
  let scratch = searchScratch(0);
  const norms = new WeakMap<Segment, { mean: number; size: number; values: Float32Array; bound: ShareBound }>();
  const normsOf = (segment: Segment, mean: number) => {
    const known = norms.get(segment);
    if (known?.mean === mean && known.size === segment.size) return known;
    const values = lengthNorms(segment.words.lengths, mean, bm25);
    const made = { mean, size: segment.size, values, bound: shareBounds(values) };
    norms.set(segment, made);
    return made;
  };
  let lengthTotal: { total: number; dead: number; size: number } | undefined;
  /** Terms of all documents that can be found. */
  const totalLength = (): number => {
    if (lengthTotal?.dead !== live.deadDocuments || lengthTotal.size !== live.size) {
      let total = 0;
      for (const { size, dead, words } of live.segments)
        for (let document = 0; document < size; document++) if (dead[document] === 0) total += words.lengths[document];
      lengthTotal = { total, dead: live.deadDocuments, size: live.size };
    }
    return lengthTotal.total;
  };
  /** Documents that can be found, of a term's lists in each segment. */
  const liveFrequency = (lists: readonly (TermPostings | undefined)[]): number => {
    let count = 0;
    for (let i = 0; i < live.segments.length; i++) {
      const documents = lists[i]?.documents;
      if (documents === undefined) continue;
      count += documents.length;
      if (live.deadDocuments === 0) continue;
      const { dead } = live.segments[i];
      for (let d = 0; d < documents.length; d++) count -= dead[documents[d]];
    }
    return count;
  };

  return {
    /** Documents that can be found and hold a term. */
    frequency: (term: string): number => liveFrequency(live.segments.map(({ words }) => words.read(term))),
    /** The best documents for terms. */
    *search(terms: WeightedTerms, { depth, filter }: IndexSearchOptions): Steps<Ranking> {
      const { segments } = live;
      const mean = totalLength() / Math.max(1, live.size);
      const read = segments.map(({ words }) => new Map([...terms.keys()].map((term) => [term, words.read(term)])));
      const frequency = (term: string) => liveFrequency(read.map((lists) => lists.get(term)));
      const frequencies = new Map([...terms.keys()].map((term) => [term, frequency(term)]));
      const statistics = {
        documents: live.size,
        terms: totalLength(),
        frequency: (term: string) => frequencies.get(term) ?? 0,
      };
      const found: ScoredDocument[] = [];
      for (const [i, segment] of segments.entries()) {
        const lists = { read: (term: string): TermPostings | undefined => read[i].get(term) };
        const { values, bound } = normsOf(segment, mean);
        const weighed = weighTerms(lists, terms, statistics, bound, bm25);
        if (weighed.length === 0) continue;
        if (scratch.scores.length < segment.size) scratch = searchScratch(segment.size);
        const skip = skipped(segment, filter);
        for (const hit of topDocuments(weighed, values, depth, scratch, skip))
          found.push({ id: segment.idOf(hit.index), score: hit.score });
        yield;
      }
      return found.sort((a, b) => b.score - a.score).slice(0, depth);
    },
  };
}
