// Examples to batches.
import { type PackedBatch, packSequences } from "../data/packed-batch.js";
import { ClozeError } from "../errors.js";
import type { Example, TaskBatch } from "./task.js";

type Labels = Int32Array | Float32Array;

/** Labels end to end; their kind is that of the first. */
function joinLabels(all: readonly Labels[]): Labels {
  const total = all.reduce((sum, { length }) => sum + length, 0);
  const joined = all[0] instanceof Float32Array ? new Float32Array(total) : new Int32Array(total);
  let at = 0;
  for (const labels of all) {
    joined.set(labels, at);
    at += labels.length;
  }
  return joined;
}

/** Lays examples end to end; with labels when all have some. */
export function packExamples(examples: readonly Example[]): TaskBatch {
  const batch: PackedBatch = packSequences(examples.flatMap(({ sequences }) => sequences));
  const rowOffsets = new Int32Array(examples.length + 1);
  examples.forEach(({ sequences }, row) => {
    rowOffsets[row + 1] = rowOffsets[row] + sequences.length;
  });
  const labels = examples.flatMap((example) => (example.labels === undefined ? [] : [example.labels]));
  return { ...batch, rowOffsets, ...(labels.length === examples.length ? { labels: joinLabels(labels) } : {}) };
}

/** Tokens of an example. */
export const tokensOf = ({ sequences }: Example): number => sequences.reduce((sum, { ids }) => sum + ids.length, 0);

/** Typed numbers that grow by doubling. */
function growing<Numbers extends Int32Array | Float32Array | Uint8Array>(make: (length: number) => Numbers) {
  let values = make(1024);
  let length = 0;
  return {
    push(more: ArrayLike<number>) {
      if (length + more.length > values.length) {
        const larger = make(Math.max(2 * values.length, length + more.length));
        larger.set(values.subarray(0, length));
        values = larger;
      }
      values.set(more, length);
      length += more.length;
    },
    get length() {
      return length;
    },
    /** The numbers so far, without spare room. */
    finish: () => values.slice(0, length) as Numbers,
  };
}

/** Encoded training rows in a few flat arrays, so that a million rows are a million times a few bytes. */
export interface ExampleStore {
  /** Rows. */
  readonly count: number;
  readonly sequences: number;
  readonly tokens: number;
  /** Tokens of a row. */
  length(row: number): number;
  /** The batch of these rows, in this order. */
  batch(rows: ArrayLike<number>): TaskBatch;
}

/**
 * Stores labelled examples.
 *
 * @throws ROW_UNLABELLED when one has no labels
 */
export function storeExamples(examples: Iterable<Example>): ExampleStore {
  const ids = growing((length) => new Int32Array(length));
  const segments = growing((length) => new Uint8Array(length));
  const sequenceEnds = growing((length) => new Int32Array(length));
  const rowEnds = growing((length) => new Int32Array(length));
  const labelEnds = growing((length) => new Int32Array(length));
  let labels: ReturnType<typeof growing<Labels>> | undefined;
  let segmented = false;
  let count = 0;
  for (const example of examples) {
    const given = example.labels;
    if (given === undefined) {
      throw new ClozeError("ROW_UNLABELLED", `Training row ${count + 1} has no label`, {
        remedy: "Give each training row its label, or leave the row out.",
      });
    }
    labels ??= growing<Labels>((length) =>
      given instanceof Float32Array ? new Float32Array(length) : new Int32Array(length),
    );
    for (const sequence of example.sequences) {
      ids.push(sequence.ids);
      const kinds = sequence.segments ?? new Uint8Array(sequence.ids.length);
      segmented ||= Array.prototype.some.call(kinds, (kind) => kind !== 0);
      segments.push(kinds);
      sequenceEnds.push([ids.length]);
    }
    labels.push(given);
    rowEnds.push([sequenceEnds.length]);
    labelEnds.push([labels.length]);
    count++;
  }
  const flat = {
    ids: ids.finish(),
    segments: segmented ? segments.finish() : undefined,
    sequenceEnds: sequenceEnds.finish(),
    rowEnds: rowEnds.finish(),
    labels: labels?.finish() ?? new Int32Array(0),
    labelEnds: labelEnds.finish(),
  };
  const startOf = (ends: Int32Array, at: number): number => (at === 0 ? 0 : ends[at - 1]);
  const tokenStart = (row: number): number => startOf(flat.sequenceEnds, startOf(flat.rowEnds, row));
  const tokenEnd = (row: number): number => flat.sequenceEnds[flat.rowEnds[row] - 1];
  const exampleOf = (row: number): Example => {
    const sequences = [];
    for (let s = startOf(flat.rowEnds, row); s < flat.rowEnds[row]; s++) {
      const [start, end] = [startOf(flat.sequenceEnds, s), flat.sequenceEnds[s]];
      sequences.push({ ids: flat.ids.subarray(start, end), segments: flat.segments?.subarray(start, end) });
    }
    return {
      sequences,
      labels: flat.labels.subarray(startOf(flat.labelEnds, row), flat.labelEnds[row]),
      details: undefined,
    };
  };
  return {
    count,
    sequences: flat.sequenceEnds.length,
    tokens: flat.ids.length,
    length: (row) => tokenEnd(row) - tokenStart(row),
    batch: (rows) => packExamples(Array.from(rows, exampleOf)),
  };
}
