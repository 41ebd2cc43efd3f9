// Beam search: the likeliest texts, as far as a few of each length can tell.
import { logSoftmax, noGrad, scope, slice } from "@cloze/tensor";
import type { NextTokenScorer } from "./next-token-scorer.js";
import { type Candidates, candidatesOf } from "./sampler.js";

export interface BeamSearchOptions {
  /** Texts that are gone on with at each length. */
  readonly beams: number;
  /** Sums of log-probabilities are divided by the number of new tokens to this power. */
  readonly lengthPenalty: number;
  readonly maxNewTokens: number;
  readonly endId: number | undefined;
  /** Only so many of the likeliest tokens may come. */
  readonly topK: number | undefined;
  /** What filters leave of the candidates after a text. */
  filter(ids: readonly number[], candidates: Candidates): Candidates;
  /** True where filters leave everything. */
  readonly unfiltered: boolean;
}

/** A text that beam search found. */
export interface BeamText {
  /** Prompt and all, without the mark of the end. */
  readonly ids: readonly number[];
  /** Sum of log-probabilities (of the mark of the end too) / new tokens (with it) ** lengthPenalty. */
  readonly score: number;
  readonly ended: "end" | "length";
}

interface Beam {
  readonly ids: readonly number[];
  /** Of log-probabilities. */
  readonly sum: number;
  /** The text of the last call that it goes on from. */
  readonly row: number;
}

const byScore = (a: BeamText, b: BeamText): number => b.score - a.score;

/**
 * At each length the `beams` likeliest texts that did not end are gone on with; texts that end are set aside where they are
 * among the `beams` likeliest. It stops when no text can come to be better than those, so that stopping changes nothing. Of
 * equal texts the one of the likelier beam comes first. Filters strike out tokens; what they leave keeps its probability.
 *
 * @returns at most `beams` texts, the best one first
 */
export function beamSearch(
  scorer: NextTokenScorer,
  prompt: readonly number[],
  { beams, lengthPenalty, maxNewTokens, endId, topK, filter, unfiltered }: BeamSearchOptions,
): BeamText[] {
  const scoreOf = (sum: number, length: number): number => sum / length ** lengthPenalty;
  // One of a beam's tokens may end it, and the others are as many as there are beams.
  const most = unfiltered ? Math.min(topK ?? beams + 1, beams + 1) : topK;
  let live: Beam[] = [{ ids: prompt, sum: 0, row: 0 }];
  let found: BeamText[] = [];
  for (let length = 1; length <= maxNewTokens && live.length > 0; length++) {
    const candidates = scope(() =>
      noGrad(() => {
        const logits = scorer.score(
          live.map(({ ids }) => ids),
          live.map(({ row }) => row),
        );
        const logProbabilities = logSoftmax(logits);
        return live.map((_, row) =>
          candidatesOf(slice(logProbabilities, [{ start: row, end: row + 1 }]), { topK: most }),
        );
      }),
    );
    const extensions = live
      .flatMap(({ ids, sum }, row) => {
        const left = filter(ids, candidates[row]);
        return Array.from(left.ids, (id, at) => ({ row, id, sum: sum + left.logits[at] }));
      })
      .sort((a, b) => b.sum - a.sum);
    const ending = extensions.slice(0, beams).filter(({ id }) => id === endId);
    found = [
      ...found,
      ...ending.map(({ row, sum }) => ({ ids: live[row].ids, score: scoreOf(sum, length), ended: "end" as const })),
    ]
      .sort(byScore)
      .slice(0, beams);
    const before = live;
    live = extensions
      .filter(({ id }) => id !== endId)
      .slice(0, beams)
      .map(({ row, id, sum }) => ({ ids: [...before[row].ids, id], sum, row }));
    // A sum only falls: at best all further tokens are certain, and there are as many as count for it.
    const best = lengthPenalty > 0 ? maxNewTokens : Math.min(length + 1, maxNewTokens);
    const hopeless = live.length > 0 && found.length === beams && scoreOf(live[0].sum, best) <= found[beams - 1].score;
    if (hopeless) return found;
  }
  const cut = live.map(({ ids, sum }) => ({ ids, score: scoreOf(sum, maxNewTokens), ended: "length" as const }));
  return [...found, ...cut].sort(byScore).slice(0, beams);
}
