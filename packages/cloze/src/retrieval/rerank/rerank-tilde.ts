// Documents by how likely the query's tokens are in their queries (TILDE), in a pipeline.
import type { DataWarnings } from "../../data/readers/warnings.js";
import type { Reranker } from "../pipeline/retriever.js";
import { tildeScore, tildeTexts, tildeTokens } from "../term-weighting/tilde.js";
import type { Tilde } from "../term-weighting/tilde-folder.js";
import { reorder } from "./first-stage-weight.js";
import { type DocumentTexts, type RerankOptions, withTitle } from "./rerankers.js";

/**
 * A stage that reads documents alone, and queries only where alpha is below 1.
 *
 * @example
 * const search = pipeline(bm25, rerankTilde(loadTilde("tilde"), texts));
 */
export function rerankTilde(
  { model, tokenizer, settings }: Tilde,
  texts: DocumentTexts,
  { depth = 100, firstStageWeight = 0, warnings }: RerankOptions & { warnings?: DataWarnings } = {},
): Reranker {
  const { alpha, maxLength } = settings;
  const read = (all: readonly string[]) => tildeTexts(model, tokenizer, all, { maxLength });
  return {
    name: "tilde",
    async rerank(query, ranking) {
      const head = ranking.slice(0, depth);
      if (head.length === 0) return ranking;
      const asked = alpha === 1 ? tildeTokens(tokenizer, query) : read([query])[0];
      const documents = read(head.map(({ id }) => withTitle(texts(id) ?? { text: "" })));
      documents.forEach(({ ids }, i) => {
        // Two tokens stand around a text.
        if (ids.length + 2 > maxLength)
          warnings?.add("TEXT_CUT", `texts longer than ${maxLength} tokens; what follows was cut off`, head[i].id);
      });
      const scores = documents.map((document) => tildeScore(asked, document, alpha));
      return reorder(ranking, depth, scores, firstStageWeight);
    },
  };
}
