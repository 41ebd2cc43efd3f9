// What stands in place of the chosen tokens that become random ones: any token, or one that says much about its documents
// (TF-IDF, arXiv 2407.00648). The paper gives the idea; formula, thresholds and the two variants are Cloze's.
import { z } from "zod";
import type { PackedBatch } from "../data/packed-batch.js";
import type { RandomSource } from "../data/random-source.js";
import type { MaskingOptions } from "./masking.js";
import { cannotCombine, type ObjectiveFrame, type ObjectiveVocabulary } from "./objective.js";

export const replacementFields = {
  replacement: z
    .enum(["uniform", "tfidf-global", "tfidf-document"])
    .default("uniform")
    .describe("random tokens are any, the corpus's most informative ones, or those of the sequence itself"),
  replacementShare: z.number().gt(0).max(1).default(0.1).describe("tfidf-global: candidates, of the vocabulary (0.1)"),
  replacementCount: z.int().min(1).default(20).describe("tfidf-document: candidates of a sequence (20)"),
  minDocuments: z.int().min(1).default(2).describe("tokens of fewer documents are no candidates (2)"),
  subwords: z.boolean().default(false).describe("pieces that continue a word are candidates, too"),
};
type ReplacementConfig = z.output<ReturnType<typeof z.strictObject<typeof replacementFields>>>;

/** Counts of a corpus, for TF-IDF. */
export interface DocumentFrequencies {
  readonly documents: number;
  /** Documents that have a token. [vocabulary] */
  readonly frequencies: Uint32Array;
  /** idf(w) = ln((1 + D) / (1 + df(w))) + 1. [vocabulary] */
  readonly idf: Float64Array;
  /** Mean of tf(w, d) / length(d) x idf(w) over the documents that have w; 0 where none does. [vocabulary] */
  readonly scores: Float64Array;
}

/** Counts tokens of documents; nothing is kept but a few numbers for each token of the vocabulary. */
export function documentFrequencies(
  documents: Iterable<ArrayLike<number>>,
  vocabularySize: number,
): DocumentFrequencies {
  const frequencies = new Uint32Array(vocabularySize);
  const shares = new Float64Array(vocabularySize);
  let count = 0;
  for (const ids of documents) {
    if (ids.length === 0) continue;
    count++;
    const inside = new Map<number, number>();
    for (let i = 0; i < ids.length; i++) inside.set(ids[i], (inside.get(ids[i]) ?? 0) + 1);
    for (const [id, times] of inside) {
      frequencies[id]++;
      shares[id] += times / ids.length;
    }
  }
  const idf = Float64Array.from(frequencies, (frequency) => Math.log((1 + count) / (1 + frequency)) + 1);
  const scores = shares.map((share, id) => (frequencies[id] === 0 ? 0 : (share / frequencies[id]) * idf[id]));
  return { documents: count, frequencies, idf, scores };
}

const isCandidate = (
  id: number,
  { frequencies }: DocumentFrequencies,
  vocabulary: ObjectiveVocabulary,
  { minDocuments, subwords }: ReplacementConfig,
): boolean =>
  frequencies[id] >= minDocuments &&
  !vocabulary.specialIds.has(id) &&
  (subwords || vocabulary.isContinuation?.(id) !== true);

/** Candidates of highest score first; among equals the smaller id. */
const best = (ids: number[], score: (id: number) => number, count: number): Int32Array =>
  Int32Array.from(ids.sort((a, b) => score(b) - score(a) || a - b).slice(0, count));

/** The tokens that say most about the documents that have them: a share of the vocabulary. */
export function globalCandidates(
  counts: DocumentFrequencies,
  vocabulary: ObjectiveVocabulary,
  config: ReplacementConfig,
): Int32Array {
  const ids = Array.from(counts.frequencies.keys()).filter((id) => isCandidate(id, counts, vocabulary, config));
  const most = Math.max(1, Math.round(config.replacementShare * vocabulary.vocabularySize));
  return best(ids, (id) => counts.scores[id], most);
}

/** The tokens that say most about one sequence. */
function sequenceCandidates(
  ids: Int32Array,
  counts: DocumentFrequencies,
  vocabulary: ObjectiveVocabulary,
  config: ReplacementConfig,
): Int32Array {
  const inside = new Map<number, number>();
  for (const id of ids) if (isCandidate(id, counts, vocabulary, config)) inside.set(id, (inside.get(id) ?? 0) + 1);
  return best([...inside.keys()], (id) => (inside.get(id) ?? 0) * counts.idf[id], config.replacementCount);
}

/** One of the candidates that is not the original; the original where there is no other. */
function draw(candidates: Int32Array, original: number, random: RandomSource): number {
  const own = candidates.indexOf(original);
  const others = candidates.length - Number(own >= 0);
  if (others === 0) return original;
  const place = Math.floor(random() * others);
  return candidates[own >= 0 && place >= own ? place + 1 : place];
}

/**
 * How random tokens are drawn; undefined: from the whole vocabulary.
 *
 * @throws OBJECTIVE_COMBINATION where there is no corpus to count, REPLACEMENTS_EMPTY
 */
export function replacementOf(
  config: ReplacementConfig,
  frame: Pick<ObjectiveFrame, "vocabulary" | "texts">,
): MaskingOptions["replacement"] {
  if (config.replacement === "uniform") return undefined;
  const { vocabulary, texts } = frame;
  if (texts === undefined) {
    throw cannotCombine("Replacements by TF-IDF need a corpus whose tokens can be counted before the run", {
      expected: "documents of tokens",
      received: "none",
    });
  }
  const counts = documentFrequencies(texts(), vocabulary.vocabularySize);
  const global = globalCandidates(counts, vocabulary, config);
  if (global.length === 0) {
    throw cannotCombine(
      "No token can stand in for others: all are special, continue words or are in too few documents",
      {
        expected: `a token of at least ${config.minDocuments} documents`,
        received: `${counts.documents} document(s)`,
        remedy: "Set minDocuments=1, or replacement=uniform.",
      },
    );
  }
  if (config.replacement === "tfidf-global") return (row, batch, random) => draw(global, batch.ids[row], random);
  const known = new WeakMap<PackedBatch, Int32Array[]>();
  return (row, batch, random) => {
    const bySequence = known.get(batch) ?? [];
    known.set(batch, bySequence);
    let sequence = 0;
    for (let low = 0, high = batch.offsets.length - 2; low <= high; ) {
      const middle = (low + high) >> 1;
      if (batch.offsets[middle] <= row) [sequence, low] = [middle, middle + 1];
      else high = middle - 1;
    }
    bySequence[sequence] ??= sequenceCandidates(
      batch.ids.subarray(batch.offsets[sequence], batch.offsets[sequence + 1]),
      counts,
      vocabulary,
      config,
    );
    const candidates = bySequence[sequence];
    // A sequence of common words only has none of its own.
    return draw(candidates.length > 1 ? candidates : global, batch.ids[row], random);
  };
}
