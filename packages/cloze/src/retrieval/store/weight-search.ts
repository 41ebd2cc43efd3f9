// Learned weights of terms in an index: what may be added, and the best documents over its segments, as if they were one.
import type { DataWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import type { Ranking, ScoredDocument } from "../evaluation/ranking.js";
import type { SparseVector } from "../learned-sparse/impact-index.js";
import { topScores } from "../top-scores.js";
import type { IndexedDocument, TermCodes } from "./document.js";
import { type LiveSegments, skipped } from "./live-segments.js";
import type { IndexSearchOptions } from "./search-index.js";

/** What a weight of 1 in an index stands for: SPLADE's weights are logarithms, rarely above 5. */
export const weightStep = 0.001;
const largestCode = 0xffff;

/**
 * Weights of documents' terms as an index keeps them: whole numbers of {@link weightStep}, at most 65.535 (what is cut is
 * warned of); those that round to 0 are left out.
 *
 * @throws INDEX_VECTOR for weights that are negative or not finite; INDEX_WIDTH where there is not one for each document
 */
export function encodeWeights(
  documents: readonly IndexedDocument[],
  weights: readonly SparseVector[] | undefined,
  warnings: DataWarnings,
): TermCodes[] {
  if (weights?.length !== documents.length) {
    throw new ClozeError("INDEX_WIDTH", "The weights do not fit the documents", {
      expected: `${documents.length} sparse vectors`,
      received: weights === undefined ? "none" : String(weights.length),
      remedy: "Encode the documents with the model that the index was made with.",
    });
  }
  return weights.map(({ terms, weights: values }, document) => {
    const kept: [number[], number[]] = [[], []];
    for (const [i, term] of terms.entries()) {
      if (!(values[i] >= 0 && values[i] < Number.POSITIVE_INFINITY)) {
        throw new ClozeError("INDEX_VECTOR", `A weight of ${documents[document].id} cannot be searched by`, {
          expected: "finite numbers of at least 0",
          received: String(values[i]),
          remedy: "Leave the document out, or check the model.",
        });
      }
      const code = Math.round(values[i] / weightStep);
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

/** What a search by weights gets of an index that has none. */
export const noWeights = (index: string) =>
  new ClozeError("INDEX_NO_WEIGHTS", `${index} holds no learned weights of terms`, {
    expected: "an index that was made with an encoder of weighted terms",
    received: "one without",
    remedy: "Index the documents again, --model being an encoder of cloze train --encoder splade or unicoil.",
  });

/** The best documents by inner product with a query's weights, of those that share a term with it. */
export function searchWeights(
  live: LiveSegments,
  { terms, weights }: SparseVector,
  { depth, filter }: IndexSearchOptions,
): Ranking {
  const found: ScoredDocument[] = [];
  for (const segment of live.segments) {
    const scores = new Float64Array(segment.size);
    let any = false;
    for (const [t, term] of terms.entries()) {
      const list = segment.weights.read(String(term));
      if (list === undefined) continue;
      any = true;
      const weight = weights[t] * weightStep;
      for (let i = 0; i < list.documents.length; i++) scores[list.documents[i]] += weight * list.counts[i];
    }
    if (!any) continue;
    const skip = skipped(segment, filter);
    for (const { index, score } of topScores(scores, depth, { floor: 0, keep: (document) => skip[document] === 0 }))
      found.push({ id: segment.idOf(index), score });
  }
  return found.sort((a, b) => b.score - a.score).slice(0, depth);
}
