// Sentences with n-grams hidden behind one [MASK] each (ERNIE-Gram, arXiv 2010.12148).
import { type PackedBatch, packSequences } from "../../data/packed-batch.js";
import type { RandomSource } from "../../data/random-source.js";
import type { EncoderBatch } from "../../encoder/batch.js";
import { type NgramLexicon, segmentNgrams } from "./lexicon.js";

/** A piece of a sequence that was chosen. */
export interface ChosenPiece {
  /** Its tokens as they were. */
  readonly ids: readonly number[];
  /** A token, or vocabularySize + the number of an n-gram. */
  readonly identity: number;
  /** Its row in the batch of pieces. */
  readonly row: number;
}

/** Sequences of pieces. */
export interface PieceBatch {
  /** Each chosen piece is one [MASK]; places count pieces. */
  readonly batch: PackedBatch;
  readonly chosen: readonly ChosenPiece[];
}

interface Vocabulary {
  readonly maskId: number;
  readonly vocabularySize: number;
  readonly specialIds: ReadonlySet<number>;
}

/** The pieces of a sequence: special tokens stand alone, n-grams do not cross them. */
function piecesOf(ids: Int32Array, lexicon: NgramLexicon, { vocabularySize, specialIds }: Vocabulary) {
  const pieces: { ids: number[]; identity: number; special: boolean }[] = [];
  for (let start = 0; start < ids.length; ) {
    if (specialIds.has(ids[start])) {
      pieces.push({ ids: [ids[start]], identity: ids[start], special: true });
      start++;
      continue;
    }
    let end = start;
    while (end < ids.length && !specialIds.has(ids[end])) end++;
    const starts = segmentNgrams(ids, lexicon, start, end);
    for (let i = 0; i + 1 < starts.length; i++) {
      const length = starts[i + 1] - starts[i];
      const found = length > 1 ? lexicon.find(ids, starts[i], length) : undefined;
      pieces.push({
        ids: Array.from(ids.subarray(starts[i], starts[i + 1])),
        identity: found === undefined ? ids[starts[i]] : vocabularySize + found,
        special: false,
      });
    }
    start = end;
  }
  return pieces;
}

/**
 * Cuts sequences into pieces and hides a share of the pieces (not of the tokens), each behind one [MASK]; at least one of a
 * sequence that has any. Pieces that stay keep their tokens.
 */
export function hidePieces(
  batch: PackedBatch,
  lexicon: NgramLexicon,
  vocabulary: Vocabulary,
  random: RandomSource,
  rate: number,
): PieceBatch {
  const sequences: number[][] = [];
  const chosen: ChosenPiece[] = [];
  let base = 0;
  for (let s = 0; s + 1 < batch.offsets.length; s++) {
    const pieces = piecesOf(batch.ids.subarray(batch.offsets[s], batch.offsets[s + 1]), lexicon, vocabulary);
    const able = [...pieces.keys()].filter((i) => !pieces[i].special);
    const wanted =
      able.length === 0 ? 0 : Math.min(able.length, Math.max(1, Math.floor(able.length * rate + random())));
    for (let i = 0; i < wanted; i++) {
      const j = i + Math.floor(random() * (able.length - i));
      [able[i], able[j]] = [able[j], able[i]];
    }
    const taken = new Set(able.slice(0, wanted));
    const ids: number[] = [];
    pieces.forEach((piece, i) => {
      if (taken.has(i)) {
        chosen.push({ ids: piece.ids, identity: piece.identity, row: base + ids.length });
        ids.push(vocabulary.maskId);
      } else ids.push(...piece.ids);
    });
    sequences.push(ids);
    base += ids.length;
  }
  return { batch: packSequences(sequences.map((ids) => ({ ids }))), chosen };
}

/** The same with a [MASK] for each token of a chosen piece, as masked words have it. */
export function hideTokens({ batch, chosen }: PieceBatch): {
  batch: PackedBatch;
  rows: Int32Array;
  targets: Int32Array;
} {
  const byRow = new Map(chosen.map((piece) => [piece.row, piece]));
  const rows: number[] = [];
  const targets: number[] = [];
  const sequences: number[][] = [];
  let base = 0;
  for (let s = 0; s + 1 < batch.offsets.length; s++) {
    const ids: number[] = [];
    for (let row = batch.offsets[s]; row < batch.offsets[s + 1]; row++) {
      const piece = byRow.get(row);
      if (piece === undefined) {
        ids.push(batch.ids[row]);
        continue;
      }
      for (const id of piece.ids) {
        rows.push(base + ids.length);
        targets.push(id);
        ids.push(batch.ids[row]);
      }
    }
    sequences.push(ids);
    base += ids.length;
  }
  return {
    batch: packSequences(sequences.map((ids) => ({ ids }))),
    rows: Int32Array.from(rows),
    targets: Int32Array.from(targets),
  };
}

/** A batch of pieces with placeholders behind each sequence. */
export interface PlaceholderBatch {
  readonly batch: EncoderBatch;
  /** Where the chosen pieces stand now. [chosen] */
  readonly pieceRows: Int32Array;
  /** Where the rows of the pieces' batch stand now. [tokens of the pieces' batch] */
  readonly kept: Int32Array;
  /** The placeholders, and the tokens that stood there. [tokens of the chosen pieces] */
  readonly rows: Int32Array;
  readonly targets: Int32Array;
}

/**
 * Appends a placeholder for each token of each chosen piece, with the place of the piece. It sees the sequence before it and
 * itself, and nothing sees it.
 *
 * @param ids of the placeholders for the first token of a piece, the second one …
 * @param read what stands in the pieces' batch instead of its own ids
 */
export function withPlaceholders(
  { batch, chosen }: PieceBatch,
  ids: (slot: number) => number,
  read = batch.ids,
): PlaceholderBatch {
  const out: { ids: number[]; segments: number[]; positions: number[] } = { ids: [], segments: [], positions: [] };
  const offsets = [0];
  const unseen: number[] = [];
  const kept: number[] = [];
  const rows: number[] = [];
  const targets: number[] = [];
  let next = 0;
  for (let s = 0; s + 1 < batch.offsets.length; s++) {
    const [start, end] = [batch.offsets[s], batch.offsets[s + 1]];
    for (let row = start; row < end; row++) {
      kept.push(out.ids.length);
      unseen.push(0);
      out.ids.push(read[row]);
      out.segments.push(batch.segments[row]);
      out.positions.push(batch.positions[row]);
    }
    for (; next < chosen.length && chosen[next].row < end; next++) {
      const piece = chosen[next];
      piece.ids.forEach((id, slot) => {
        rows.push(out.ids.length);
        targets.push(id);
        unseen.push(1);
        out.ids.push(ids(slot));
        out.segments.push(batch.segments[piece.row]);
        out.positions.push(batch.positions[piece.row]);
      });
    }
    offsets.push(out.ids.length);
  }
  return {
    batch: {
      ids: Int32Array.from(out.ids),
      segments: Int32Array.from(out.segments),
      positions: Int32Array.from(out.positions),
      offsets: Int32Array.from(offsets),
      unseen: Uint8Array.from(unseen),
    },
    pieceRows: Int32Array.from(chosen, ({ row }) => kept[row]),
    kept: Int32Array.from(kept),
    rows: Int32Array.from(rows),
    targets: Int32Array.from(targets),
  };
}
