// Learned weights of terms in an index: what may be added, and the best documents over its segments, as if they were one.
import type { DataWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import type { Steps } from "../../text/steps.js";
import type { Ranking, ScoredDocument } from "../evaluation/ranking.js";
import { type TermKind, type TermWeights, termKindOf, termPairs } from "../learned-sparse/term-weights.js";
import { topScores } from "../top-scores.js";
import type { IndexSearchOptions } from "./contract.js";
import type { IndexedDocument, TermCodes } from "./document.js";
import { type LiveSegments, skipped } from "./live-segments.js";

/** What a weight of 1 in an index stands for: SPLADE's weights are logarithms, rarely above 5. */
export const weightStep = 0.001;
const largestCode = 0xffff;

/**
 * Weights of documents' terms as an index keeps them: whole numbers of {@link weightStep}, at most 65.535 (what is cut is
 * warned of); those that round to 0 are left out.
 *
 * @throws INDEX_VECTOR for weights that are negative or not finite; INDEX_WIDTH where there is not one for each document;
 * INDEX_TERMS where terms are not what the index keeps
 */
export function encodeWeights(
  documents: readonly IndexedDocument[],
  weights: readonly TermWeights[] | undefined,
  warnings: DataWarnings,
  kind: TermKind,
): TermCodes[] {
  if (weights?.length !== documents.length) {
    throw new ClozeError("INDEX_WIDTH", "The weights do not fit the documents", {
      expected: `${documents.length} weights of terms`,
      received: weights === undefined ? "none" : String(weights.length),
      remedy: "Encode the documents with the model that the index was made with.",
    });
  }
  return weights.map((one, document) => {
    checkKind(one, kind);
    const kept: [(number | string)[], number[]] = [[], []];
    for (const [term, value] of termPairs(one)) {
      if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) {
        throw new ClozeError("INDEX_VECTOR", `A weight of ${documents[document].id} cannot be searched by`, {
          expected: "finite numbers of at least 0",
          received: String(value),
          remedy: "Leave the document out, or check the model.",
        });
      }
      const code = Math.round(value / weightStep);
      if (code > largestCode)
        warnings.add(
          "INDEX_WEIGHT_CUT",
          `weights above ${largestCode * weightStep}, which were cut`,
          documents[document].id,
        );
      if (code === 0) continue;
      kept[0].push(term);
      kept[1].push(Math.min(code, largestCode));
    }
    return kept;
  });
}

/** Throws where an index of words is given numbers, or one of numbers words. @throws INDEX_TERMS */
export function checkKind(weights: TermWeights, kind: TermKind): void {
  if (termKindOf(weights) === kind) return;
  throw new ClozeError("INDEX_TERMS", `The index keeps weights of ${kind}`, {
    expected: kind === "words" ? "words with weights" : "numbers of a vocabulary with weights",
    received: termKindOf(weights),
    remedy: "Encode texts with the model that the index was made with.",
  });
}

/** What a search by weights gets of an index that has none of such terms. */
export const noWeights = (index: string, kind: TermKind = "numbers") =>
  new ClozeError("INDEX_NO_WEIGHTS", `${index} holds no learned weights of ${kind === "words" ? "words" : "terms"}`, {
    expected: "an index that was made with such a model",
    received: "one without",
    remedy: `Index the documents again, --model being ${
      kind === "words"
        ? "a weighter of cloze train-retrieval --part deepimpact or deepct"
        : "an encoder of cloze train --encoder splade or unicoil"
    }.`,
  });

/** The best documents by inner product with a query's weights, of those that share a term with it. */
export function* searchWeights(
  live: LiveSegments,
  query: TermWeights,
  { depth, filter }: IndexSearchOptions,
): Steps<Ranking> {
  const found: ScoredDocument[] = [];
  const pairs = termPairs(query);
  for (const segment of live.segments) {
    const scores = new Float64Array(segment.size);
    let any = false;
    for (const [term, queryWeight] of pairs) {
      const list = segment.weights.read(String(term));
      if (list === undefined) continue;
      any = true;
      const weight = queryWeight * weightStep;
      for (let i = 0; i < list.documents.length; i++) scores[list.documents[i]] += weight * list.counts[i];
    }
    if (!any) continue;
    const skip = skipped(segment, filter);
    for (const { index, score } of topScores(scores, depth, { floor: 0, keep: (document) => skip[document] === 0 }))
      found.push({ id: segment.idOf(index), score });
    yield;
  }
  return found.sort((a, b) => b.score - a.score).slice(0, depth);
}
