// BERT-QE as a stage of a pipeline: three readings of the cross-encoder, each perhaps by a model of another size.
import { type BertQeOptions, bertQeChunks, bertQeScores } from "../pipeline/bert-qe.js";
import type { Reranker } from "../pipeline/retriever.js";
import type { CrossEncoder } from "./cross-encoder.js";
import { reorder } from "./first-stage-weight.js";
import { cutPassages } from "./passages.js";
import { type DocumentTexts, probability, type RerankOptions, withTitle } from "./rerankers.js";

type Scorer = Pick<CrossEncoder, "scorePairs">;

export interface RerankBertQeOptions extends RerankOptions, BertQeOptions {
  /** Reads chunks for the query. Default: the model of the first phase. */
  chunkModel?: Scorer;
  /** Reads documents for the chunks. Default: the model of the first phase. */
  documentModel?: Scorer;
  /**
   * What the softmax over chunks is taken of. "probabilities" (default) is what the released code does: weights differ by a factor
   * of e at most. With "logits" (log-probabilities where the model classifies) the best chunks count alone.
   */
  chunkWeights?: "probabilities" | "logits";
}

/**
 * Documents by the query and by the pieces of the first documents that answer it best; each is read by its passage of 100 words
 * (50 apart) that the first phase likes best. The score is the logarithm of (1 - a) rel(q, d) + a (what the chunks say); the first
 * stage's counts by `firstStageWeight`, where the paper has a weight too, but both standardised.
 */
export function rerankBertQe(model: Scorer, texts: DocumentTexts, options: RerankBertQeOptions = {}): Reranker {
  const { depth = 100, firstStageWeight = 0, chunkModel = model, documentModel = model, chunkWeights } = options;
  const probabilities =
    (scorer: Scorer) =>
    (query: string, documents: readonly string[]): Float32Array =>
      scorer.scorePairs(query, documents).map(probability);
  const forChunks = chunkWeights === "logits" ? chunkModel.scorePairs : probabilities(chunkModel);
  return {
    name: "bert-qe",
    async rerank(query, ranking) {
      const head = ranking.slice(0, depth);
      if (head.length === 0) return ranking;
      const documents = head.map(({ id }) => texts(id) ?? { text: "" });
      const passages = documents.map((document) =>
        cutPassages(document.text, { words: 100, stride: 50 }).map((passage) => withTitle(document, passage)),
      );
      const scores = probabilities(model)(query, passages.flat());
      let at = 0;
      const first = passages.map((own) => {
        let best = 0;
        for (let i = 1; i < own.length; i++) if (scores[at + i] > scores[at + best]) best = i;
        const found = { text: own[best], score: scores[at + best] };
        at += own.length;
        return found;
      });
      const byScore = first.map((_, i) => i).sort((a, b) => first[b].score - first[a].score || a - b);
      const chunks = bertQeChunks(
        query,
        byScore.map((i) => documents[i].text),
        forChunks,
        options,
      );
      const found = bertQeScores(
        first.map(({ text }) => text),
        first.map(({ score }) => score),
        chunks,
        probabilities(documentModel),
        options,
      );
      return reorder(
        ranking,
        depth,
        found.map((score) => Math.log(Math.max(score, Number.MIN_VALUE))),
        firstStageWeight,
      );
    },
  };
}
