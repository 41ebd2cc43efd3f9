// Judgements as rows of two documents, for weights of terms that learn through the scores they make.
import type { TermScoreRow } from "../term-weighting/train-term-weighter.js";
import { fullText } from "../test-collection/texts.js";
import type { JudgedQuery } from "./trained-part.js";

/** A row for each of the other documents, beside one that answers the query, in turn. */
export const scoreRows = (queries: readonly JudgedQuery[]): TermScoreRow[] =>
  queries.flatMap(({ query, relevant, others }) =>
    relevant.length === 0
      ? []
      : others.map((document, i) => ({
          query,
          positive: fullText(relevant[i % relevant.length]),
          negative: fullText(document),
        })),
  );
