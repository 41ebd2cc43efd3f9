// Choosing tokens and hiding them, for every objective that restores or detects what was changed (BERT, arXiv 1810.04805).
import type { PackedBatch } from "../data/packed-batch.js";
import type { RandomSource } from "../data/random-source.js";
import { ClozeError } from "../errors.js";

/** Which tokens are chosen together: single tokens, whole words (WordPiece continuations included), or spans of words. */
export type MaskingUnit = "token" | "whole-word" | "span";

export interface MaskingOptions {
  /** Share of the maskable tokens to choose. Default 0.15. */
  rate?: number;
  /** Default "token". */
  unit?: MaskingUnit;
  /** Of the chosen tokens, the share replaced by the mask token; default 0.8. */
  maskShare?: number;
  /** The share replaced by a random token; default 0.1. What remains keeps its token. */
  randomShare?: number;
  /** Mean length of a span in words (geometric, cut at `maximumSpan`); default 3.8, 10 at most (SpanBERT). */
  meanSpan?: number;
  maximumSpan?: number;
  /** Draws the random token of a row; default: any of the vocabulary. */
  replacement?: (row: number, batch: PackedBatch, random: RandomSource) => number;
}

/** What a tokenizer must tell about its vocabulary. */
export interface MaskingVocabulary {
  readonly maskId: number;
  readonly vocabularySize: number;
  /** Ids that are never chosen: [CLS], [SEP], [PAD]. */
  readonly specialIds: ReadonlySet<number>;
  /** True for pieces that continue a word; needed for whole words and spans. */
  readonly isContinuation?: (id: number) => boolean;
}

/** A batch with tokens hidden, and what was hidden. */
export interface MaskedBatch {
  readonly batch: PackedBatch;
  /** Rows of the batch to predict, ascending. [masked] */
  readonly rows: Int32Array;
  /** The ids that stood there. [masked] */
  readonly targets: Int32Array;
}

/** Groups maskable tokens of one sequence into units, as lists of rows. */
function unitsOf(
  batch: PackedBatch,
  start: number,
  end: number,
  vocabulary: MaskingVocabulary,
  whole: boolean,
): number[][] {
  const units: number[][] = [];
  let open = false;
  for (let row = start; row < end; row++) {
    const id = batch.ids[row];
    if (vocabulary.specialIds.has(id)) {
      open = false;
      continue;
    }
    if (whole && open && vocabulary.isContinuation?.(id)) units[units.length - 1].push(row);
    else units.push([row]);
    open = true;
  }
  return units;
}

function spanLength(random: RandomSource, mean: number, maximum: number): number {
  let length = 1;
  while (length < maximum && random() > 1 / mean) length++;
  return length;
}

/**
 * Hides tokens of a packed batch, anew at each call ("dynamic" masking). Each sequence gets at least one hidden token if it
 * has a maskable one. The batch itself is not changed.
 *
 * @throws MASKING_RATE when the rate is not between 0 and 1, MASKING_UNIT when whole words are asked of a vocabulary that
 * cannot tell continuations.
 */
export function maskTokens(
  batch: PackedBatch,
  vocabulary: MaskingVocabulary,
  random: RandomSource,
  options: MaskingOptions = {},
): MaskedBatch {
  const { rate = 0.15, unit = "token", maskShare = 0.8, randomShare = 0.1, meanSpan = 3.8, maximumSpan = 10 } = options;
  if (!(rate > 0 && rate < 1)) {
    throw new ClozeError("MASKING_RATE", "The share of tokens to mask lies between 0 and 1", {
      expected: "0 < rate < 1",
      received: String(rate),
      remedy: "BERT masks 0.15.",
    });
  }
  if (unit !== "token" && vocabulary.isContinuation === undefined) {
    throw new ClozeError("MASKING_UNIT", `Masking by ${unit} needs a tokenizer that marks where words start`, {
      remedy: 'Use the unit "token".',
    });
  }
  const ids = batch.ids.slice();
  const chosen: number[] = [];
  for (let sequence = 0; sequence + 1 < batch.offsets.length; sequence++) {
    const units = unitsOf(batch, batch.offsets[sequence], batch.offsets[sequence + 1], vocabulary, unit !== "token");
    const total = units.reduce((count, rows) => count + rows.length, 0);
    if (total === 0) continue;
    // The expected share, rounded at random so that short sequences are not over-masked.
    let wanted = Math.max(1, Math.floor(total * rate + random()));
    const taken = new Uint8Array(units.length);
    for (let tries = 0; wanted > 0 && tries < units.length * 10; tries++) {
      const first = Math.floor(random() * units.length);
      const length = unit === "span" ? spanLength(random, meanSpan, maximumSpan) : 1;
      for (let i = first; i < Math.min(first + length, units.length) && wanted > 0; i++) {
        if (taken[i] === 1) continue;
        taken[i] = 1;
        chosen.push(...units[i]);
        wanted -= units[i].length;
      }
    }
  }
  const rows = Int32Array.from(chosen).sort();
  const targets = new Int32Array(rows.length);
  rows.forEach((row, i) => {
    targets[i] = batch.ids[row];
    const draw = random();
    if (draw < maskShare) ids[row] = vocabulary.maskId;
    else if (draw < maskShare + randomShare) {
      ids[row] = options.replacement?.(row, batch, random) ?? Math.floor(random() * vocabulary.vocabularySize);
    }
  });
  return { batch: { ...batch, ids }, rows, targets };
}
