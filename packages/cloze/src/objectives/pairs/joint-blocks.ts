// A query and its candidates in one sequence, each in a block of its own (joint models for answer-sentence selection, arXiv
// 2205.01228, 2309.08272).
import type { PackedBatch } from "../../data/packed-batch.js";
import type { EncoderConfig } from "../../encoder/config.js";
import { cannotCombine, type ObjectiveVocabulary } from "../objective.js";

/** A query and what may answer it, without special tokens. */
export interface JointTexts {
  readonly query: ArrayLike<number>;
  readonly candidates: readonly ArrayLike<number>[];
}

export interface JointShape {
  /** Candidates at most. */
  readonly candidates: number;
  /** Tokens of a block, special ones included; longer texts are cut. */
  readonly blockTokens: number;
}

/** Sequences of blocks. */
export interface JointBatch {
  readonly batch: PackedBatch;
  /** Row of the first token of each block: of a sequence its query's, then its candidates'. [blocks] */
  readonly starts: Int32Array;
  /** Where the blocks of each sequence begin among `starts`. [sequences + 1] */
  readonly blocks: Int32Array;
}

/**
 * [CLS] query [SEP], [CLS] candidate [SEP], … one after the other. Block i has the segment i and the positions from
 * i x blockTokens on, so that a block's vector stands at a multiple of its size. What the paper pads and masks is not there:
 * nothing sees it. Encoders with at most one segment tell blocks apart by their positions alone.
 */
export function packJoint(
  texts: readonly JointTexts[],
  { clsId, sepId }: Pick<ObjectiveVocabulary, "clsId" | "sepId">,
  { candidates: most, blockTokens }: JointShape,
  segmentVocabularySize: number,
): JointBatch {
  const ids: number[] = [];
  const segments: number[] = [];
  const positions: number[] = [];
  const starts: number[] = [];
  const offsets = [0];
  const blocks = [0];
  for (const { query, candidates } of texts) {
    [query, ...candidates.slice(0, most)].forEach((text, block) => {
      starts.push(ids.length);
      const whole = [clsId, ...Array.from(text).slice(0, blockTokens - 2), sepId];
      whole.forEach((id, place) => {
        ids.push(id);
        segments.push(segmentVocabularySize > 1 ? block : 0);
        positions.push(block * blockTokens + place);
      });
    });
    offsets.push(ids.length);
    blocks.push(starts.length);
  }
  const [all, ofSegments, ofPositions, ends] = [ids, segments, positions, offsets].map((list) => Int32Array.from(list));
  return {
    batch: { ids: all, segments: ofSegments, positions: ofPositions, offsets: ends },
    starts: Int32Array.from(starts),
    blocks: Int32Array.from(blocks),
  };
}

/**
 * Refuses encoders that blocks do not fit into.
 *
 * @throws OBJECTIVE_COMBINATION
 */
export function checkJoint({ candidates, blockTokens }: JointShape, encoder: EncoderConfig): void {
  const { maxPositions, segmentVocabularySize } = encoder;
  const blocks = candidates + 1;
  if (maxPositions > 0 && blocks * blockTokens > maxPositions) {
    throw cannotCombine(`A query and ${candidates} candidates of ${blockTokens} tokens each need more positions`, {
      expected: `at least ${blocks * blockTokens}`,
      received: String(maxPositions),
      remedy: `Set blockTokens=${Math.max(4, Math.floor(maxPositions / blocks))}, or give a new model --max-length ${blocks * blockTokens}.`,
    });
  }
  if (segmentVocabularySize > 1 && segmentVocabularySize < blocks) {
    throw cannotCombine("A query and its candidates need a segment each", {
      expected: `${blocks} segments`,
      received: String(segmentVocabularySize),
      remedy: `Give the model more: --segments ${blocks} (extendSegments in the library).`,
    });
  }
}
