// Cross-encoders as stages of a pipeline.
import type { DataWarnings } from "../../data/readers/warnings.js";
import type { Reranker } from "../pipeline/retriever.js";
import type { CrossEncoder } from "./cross-encoder.js";
import { reorder } from "./first-stage-weight.js";
import { type JointRanker, rankJoint } from "./joint-ranker.js";
import type { Parade } from "./parade.js";
import { aggregatePassages, cutPassages, type PassageAggregation, type PassageOptions } from "./passages.js";

/** What a reranker reads of a document; undefined for one that is not there. */
export type DocumentTexts = (id: string) => { readonly title?: string; readonly text: string } | undefined;

export interface RerankOptions {
  /** Documents that are put into a new order; those behind keep theirs. */
  depth?: number;
  /** Weight of the scores that were there before, both standardised, 0 to 1; 0 unless told: they do not count. */
  firstStageWeight?: number;
}

export interface PointwiseOptions extends RerankOptions, PassageOptions {
  /** Cut documents into passages and score each; absent: documents are cut off where the model's window ends. */
  aggregation?: PassageAggregation;
}

/** What stands in front of a document or of its passage. */
export const withTitle = ({ title = "", text }: { title?: string; text: string }, passage = text): string =>
  title === "" ? passage : `${title} ${passage}`.trimEnd();

/**
 * Scores each document by itself (monoBERT); with `aggregation`, by its passages (FirstP, MaxP, SumP), the title in front of
 * each.
 */
export function rerankPointwise(
  model: CrossEncoder,
  texts: DocumentTexts,
  { depth = 100, firstStageWeight = 0, aggregation, ...cut }: PointwiseOptions = {},
): Reranker {
  return {
    name: aggregation === undefined ? "mono" : `mono passages`,
    async rerank(query, ranking) {
      const head = ranking.slice(0, depth);
      if (head.length === 0) return ranking;
      const passages = head.map(({ id }) => {
        const document = texts(id) ?? { text: "" };
        if (aggregation === undefined) return [withTitle(document)];
        return cutPassages(document.text, cut).map((passage) => withTitle(document, passage));
      });
      const scores = model.scorePairs(query, passages.flat());
      let at = 0;
      const byDocument = passages.map(({ length }) => {
        const own = scores.subarray(at, at + length);
        at += length;
        if (aggregation === undefined) return own[0];
        // Sums want numbers that are not below 0: the more passages say yes, the better.
        const summed = aggregation !== "first" && aggregation !== "max";
        return aggregatePassages(summed ? own.map(probability) : own, aggregation);
      });
      return reorder(ranking, depth, byDocument, firstStageWeight);
    },
  };
}

/** Scores documents by all their passages at once (PARADE). */
export function rerankParade(
  model: Pick<Parade, "score">,
  texts: DocumentTexts,
  { depth = 100, firstStageWeight = 0 }: RerankOptions = {},
): Reranker {
  return {
    name: "parade",
    async rerank(query, ranking) {
      const head = ranking.slice(0, depth);
      if (head.length === 0) return ranking;
      const documents = head.map(({ id }) => texts(id) ?? { text: "" });
      return reorder(ranking, depth, model.score(query, documents), firstStageWeight);
    },
  };
}

/**
 * Scores documents by groups, each beside the others of its group (joint models).
 *
 * @param options `warnings` counts documents that are longer than a block
 */
export function rerankJoint(
  model: Pick<JointRanker, "options" | "logits">,
  texts: DocumentTexts,
  { depth = 100, firstStageWeight = 0, warnings }: RerankOptions & { warnings?: DataWarnings } = {},
): Reranker {
  const message = `texts longer than ${model.options.blockTokens} tokens; what follows was cut off`;
  return {
    name: "joint",
    async rerank(query, ranking) {
      const head = ranking.slice(0, depth);
      if (head.length === 0) return ranking;
      const documents = head.map(({ id }) => withTitle(texts(id) ?? { text: "" }));
      const scores = new Float32Array(head.length);
      const onCut = (candidate: number) => warnings?.add("TEXT_CUT", message, head[candidate].id);
      for (const { candidate, score } of rankJoint(model, query, documents, { onCut })) scores[candidate] = score;
      return reorder(ranking, depth, scores, firstStageWeight);
    },
  };
}

/** A logit, or a log-probability, between 0 and 1. */
export const probability = (score: number): number => 1 / (1 + Math.exp(-score));

/** How what a document wins against the others becomes its score (Nogueira 2019). */
export type DuelAggregation = "sum" | "binary" | "min" | "max";

const duelScores: Record<DuelAggregation, (wins: readonly number[]) => number> = {
  sum: (wins) => wins.reduce((sum, win) => sum + win, 0),
  binary: (wins) => wins.filter((win) => win > 0.5).length,
  min: (wins) => Math.min(...wins),
  max: (wins) => Math.max(...wins),
};

/** Lets every two of the first documents compete (duoBERT). Costs depth x (depth - 1) passes. */
export function rerankPairwise(
  model: CrossEncoder,
  texts: DocumentTexts,
  { depth = 30, firstStageWeight = 0, aggregation = "sum" }: RerankOptions & { aggregation?: DuelAggregation } = {},
): Reranker {
  return {
    name: "duo",
    async rerank(query, ranking) {
      const head = ranking.slice(0, depth);
      if (head.length < 2) return ranking;
      const documents = head.map(({ id }) => withTitle(texts(id) ?? { text: "" }));
      const pairs = head.flatMap((_, i) => head.flatMap((_, j) => (i === j ? [] : [[i, j] as const])));
      const wins: number[][] = head.map(() => []);
      for (const [pair, win] of model.scoreDuels(query, documents, pairs).entries()) wins[pairs[pair][0]].push(win);
      return reorder(ranking, depth, wins.map(duelScores[aggregation]), firstStageWeight);
    },
  };
}
