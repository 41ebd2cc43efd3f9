// Which rows make a batch, and what the encoder sees of them.
import type { BatchSource } from "../../data/batch-source.js";
import { randomOrder, randomSource } from "../../data/random-source.js";
import { ClozeError } from "../../errors.js";
import type { UnknownTexts } from "../../text/unknown-texts.js";
import type { TextBatch, TextKind, TrainableEncoder } from "../embedder.js";
import type { EmbeddingLossKind, RowShape } from "../losses/index.js";
import type { TextCounts } from "../text-roles.js";
import type { EmbeddingRow } from "./rows.js";

/** Sequences of a batch, in one or two parts that are encoded by themselves, and how they are columns again. */
export interface EmbeddingBatch {
  /** Queries and documents apart where they play different parts; else one. */
  readonly parts: readonly TextBatch[];
  /** Rows of each column, in order over the parts. */
  readonly counts: readonly number[];
  readonly labels?: Float32Array;
  readonly labelWidth?: number;
  /** Rows of the data. */
  readonly positions: Int32Array;
}

/** The batches of an epoch, as positions of rows. */
export type EpochPlan = (epoch: number) => readonly Int32Array[];

/** Rows in a random order, cut into batches; the remainder is dropped. */
const shuffled =
  (count: number, size: number, seed: number): EpochPlan =>
  (epoch) => {
    const order = randomOrder(count, randomSource(seed, epoch));
    return Array.from({ length: Math.max(1, Math.floor(count / size)) }, (_, i) =>
      order.subarray(i * size, Math.min(count, (i + 1) * size)),
    );
  };

/** The same, but no text occurs twice in a batch: it would be a wrong answer where it is right. */
const distinct =
  (rows: readonly EmbeddingRow[], size: number, seed: number): EpochPlan =>
  (epoch) => {
    const order = randomOrder(rows.length, randomSource(seed, epoch));
    const batches: Int32Array[] = [];
    let next = 0;
    // Rows that did not fit where they came up; they come first in the next batch.
    let waiting: number[] = [];
    for (;;) {
      const seen = new Set<string>();
      const batch: number[] = [];
      const left: number[] = [];
      const consider = (position: number): void => {
        const { texts } = rows[position];
        // Negatives may recur: they are wrong for everybody.
        if (seen.has(texts[0]) || seen.has(texts[1])) {
          left.push(position);
          return;
        }
        batch.push(position);
        seen.add(texts[0]).add(texts[1]);
      };
      let looked = 0;
      for (; looked < waiting.length && batch.length < size; looked++) consider(waiting[looked]);
      for (; next < order.length && batch.length < size; next++) consider(order[next]);
      waiting = left.concat(waiting.slice(looked));
      if (batch.length === size || batches.length === 0) batches.push(Int32Array.from(batch));
      if (batch.length < size) break;
    }
    return batches;
  };

/** Rows of a class stand together, `together` of them, so that a batch has positives. */
const byClass =
  (rows: readonly EmbeddingRow[], size: number, seed: number, together = 4): EpochPlan =>
  (epoch) => {
    const random = randomSource(seed, epoch);
    const classes = new Map<EmbeddingRow["label"], number[]>();
    for (const position of randomOrder(rows.length, random)) {
      const { label } = rows[position];
      const members = classes.get(label);
      if (members === undefined) classes.set(label, [position]);
      else members.push(position);
    }
    const groups = [...classes.values()].flatMap((members) =>
      Array.from({ length: Math.ceil(members.length / together) }, (_, i) =>
        members.slice(i * together, (i + 1) * together),
      ),
    );
    const order = Array.from(randomOrder(groups.length, random)).flatMap((i) => groups[i]);
    return Array.from({ length: Math.max(1, Math.floor(order.length / size)) }, (_, i) =>
      Int32Array.from(order.slice(i * size, (i + 1) * size)),
    );
  };

/** What decides which rows make a batch. */
interface PlanOptions {
  readonly size: number;
  readonly seed: number;
  readonly noDuplicates: boolean;
  /** See `TrainEmbedderOptions.fieldBatches`. Default "mixed". */
  readonly fieldBatches?: "mixed" | "in-turn";
}

/** Each batch has rows of one field; the fields take turns, as long as they have batches. */
function fieldsInTurn(shape: RowShape, rows: readonly EmbeddingRow[], options: PlanOptions): EpochPlan {
  const fields = [...new Set(rows.map(({ field }) => field))];
  const parts = fields.map((field, i) => {
    const places = Int32Array.from(rows.keys()).filter((row) => rows[row].field === field);
    const own = Array.from(places, (row) => rows[row]);
    const size = Math.min(options.size, own.length);
    return { places, plan: epochPlan(shape, own, { ...options, size, seed: options.seed + i, fieldBatches: "mixed" }) };
  });
  return (epoch) => {
    const batches = parts.map(({ places, plan }) => plan(epoch).map((batch) => batch.map((row) => places[row])));
    const turns = Math.max(...batches.map(({ length }) => length));
    return Array.from({ length: turns }, (_, turn) =>
      batches.flatMap((own) => (turn < own.length ? [own[turn]] : [])),
    ).flat();
  };
}

/** How the rows of a shape are put into batches. */
export function epochPlan(shape: RowShape, rows: readonly EmbeddingRow[], options: PlanOptions): EpochPlan {
  const { size, seed, noDuplicates, fieldBatches } = options;
  if (fieldBatches === "in-turn") return fieldsInTurn(shape, rows, options);
  if (shape === "labelled-text") return byClass(rows, size, seed);
  const inBatch = shape === "pair" || shape === "margin" || shape === "triplet";
  return inBatch && noDuplicates ? distinct(rows, size, seed) : shuffled(rows.length, size, seed);
}

/** A stream of an epoch's batches after the other, which can say where it is. */
export function plannedBatches<Batch>(plan: EpochPlan, make: (positions: Int32Array) => Batch): BatchSource<Batch> {
  let epoch = 0;
  let place = 0;
  let batches: readonly Int32Array[] | undefined;
  return {
    next() {
      batches ??= plan(epoch);
      if (place >= batches.length) {
        epoch++;
        place = 0;
        batches = plan(epoch);
      }
      return make(batches[place++]);
    },
    state: () => ({ epoch, place }),
    restore(state) {
      ({ epoch, place } = state as { epoch: number; place: number });
      batches = undefined;
    },
  };
}

/** Labels as numbers, `width` for each row; classes are numbered in the order of their names. */
export interface RowLabels {
  readonly values: Float32Array;
  readonly width: number;
  readonly classes: readonly string[];
}

/** @throws LABELS_SHAPE where rows have labels of several lengths, or only some have one */
export function labelsOf(rows: readonly EmbeddingRow[], shape: RowShape): RowLabels | undefined {
  if (rows.every(({ label }) => label === undefined)) return undefined;
  const isClass = shape === "class-pair" || shape === "labelled-text";
  const classes = isClass ? [...new Set(rows.map(({ label }) => String(label)))].sort() : [];
  const numbers = new Map(classes.map((name, i) => [name, i]));
  const lists = rows.map(({ label }) =>
    isClass ? [numbers.get(String(label)) as number] : typeof label === "object" ? label : [Number(label)],
  );
  const width = lists[0].length;
  const wrong = lists.findIndex((list) => list.length !== width || !list.every(Number.isFinite));
  if (wrong >= 0) {
    throw new ClozeError("LABELS_SHAPE", `Row ${wrong + 1} has another kind of label than the first`, {
      expected: `${width} finite number${width === 1 ? "" : "s"}`,
      received: JSON.stringify(rows[wrong].label) ?? "none",
    });
  }
  return { values: Float32Array.from(lists.flat()), width, classes };
}

/** Joins batches into one. */
function joinBatches(batches: readonly TextBatch[]): TextBatch {
  if (batches.length === 1) return batches[0];
  const tokens = batches.reduce((sum, { ids }) => sum + ids.length, 0);
  const sequences = batches.reduce((sum, { offsets }) => sum + offsets.length - 1, 0);
  const joined = {
    ids: new Int32Array(tokens),
    segments: new Int32Array(tokens),
    positions: new Int32Array(tokens),
    offsets: new Int32Array(sequences + 1),
    promptTokens: batches[0].promptTokens,
    role: batches[0].role,
    ...(batches[0].routes === undefined ? {} : { routes: new Int32Array(sequences) }),
  };
  let [at, s] = [0, 0];
  for (const { ids, segments, positions, offsets, routes } of batches) {
    if (routes !== undefined) joined.routes?.set(routes, s);
    joined.ids.set(ids, at);
    joined.segments.set(segments, at);
    joined.positions.set(positions, at);
    for (let i = 1; i < offsets.length; i++) joined.offsets[++s] = offsets[i] + at;
    at += ids.length;
  }
  return joined;
}

/** Sequences [start, end) of a batch. */
export function sliceBatch(batch: TextBatch, start: number, end: number): TextBatch {
  const [from, to] = [batch.offsets[start], batch.offsets[end]];
  return {
    ...batch,
    ids: batch.ids.subarray(from, to),
    segments: batch.segments.subarray(from, to),
    positions: batch.positions.subarray(from, to),
    offsets: batch.offsets.slice(start, end + 1).map((offset) => offset - from),
    ...(batch.routes === undefined ? {} : { routes: batch.routes.subarray(start, end) }),
  };
}

/** Whether rows name fields. @throws TRAINING_ROWS where only some do */
function checkFields(rows: readonly EmbeddingRow[]): boolean {
  const named = rows.filter(({ field }) => field !== undefined).length;
  if (named === 0 || named === rows.length) return named > 0;
  throw new ClozeError("TRAINING_ROWS", "Some rows name a field and others do not", {
    expected: "a field in every row, or in none",
    received: `${named} of ${rows.length} rows`,
  });
}

/**
 * Tokenizes all rows once, and gives what makes a batch of some of them.
 *
 * @param counts receives what was cut
 * @param unknown receives the ids of every text
 * @throws TRAINING_ROWS where rows have different numbers of texts and the shape does not allow it
 */
export function batchMaker(
  embedder: Pick<TrainableEncoder, "tokenize" | "packTokens" | "fieldIndex">,
  rows: readonly EmbeddingRow[],
  kind: Pick<EmbeddingLossKind, "search">,
  labels: RowLabels | undefined,
  counts?: TextCounts,
  unknown?: UnknownTexts,
): (positions: Int32Array) => EmbeddingBatch {
  const wanted = Math.min(2, rows[0]?.texts.length ?? 0);
  const wrong = rows.findIndex(({ texts }) => Math.min(2, texts.length) !== wanted);
  if (wrong >= 0 || wanted === 0) {
    throw new ClozeError("TRAINING_ROWS", `Row ${wrong + 1} has another number of texts than the first`, {
      expected: `${wanted} texts`,
      received: String(rows[wrong]?.texts.length ?? 0),
    });
  }
  const kinds: readonly TextKind[] = kind.search ? [{ role: "query" }, { role: "document" }] : [{}];
  const kindOf = (column: number): TextKind => kinds[Math.min(column, kinds.length - 1)];
  const inFields = checkFields(rows);
  const tokenize = (texts: readonly string[], column: number, field: string | undefined) => {
    const ids = embedder.tokenize(texts, { ...kindOf(column), field }, counts);
    if (unknown !== undefined) for (const one of ids) unknown.add(one);
    return ids;
  };
  const columns = Array.from({ length: wanted }, (_, column) =>
    inFields
      ? rows.flatMap(({ texts, field }) => tokenize([texts[column]], column, field))
      : tokenize(
          rows.map(({ texts }) => texts[column]),
          column,
          undefined,
        ),
  );
  const further = rows.map(({ texts, field }) => (texts.length > 2 ? tokenize(texts.slice(2), 2, field) : []));
  const fields = rows.map(({ field }) => (field === undefined ? 0 : (embedder.fieldIndex?.(field) ?? 0)));
  return (positions) => {
    const each = columns.map((column) => Array.from(positions, (i) => column[i]));
    const negatives = Array.from(positions, (i) => further[i]).flat();
    if (negatives.length > 0) each.push(negatives);
    const packed = each.map((ids, column): TextBatch => {
      const batch = embedder.packTokens(ids, kindOf(column));
      if (!inFields) return batch;
      const perRow = (i: number) => (column < wanted ? 1 : further[i].length);
      const routes = Array.from(positions).flatMap((i) => new Array<number>(perRow(i)).fill(fields[i]));
      return { ...batch, routes: Int32Array.from(routes) };
    });
    const parts = kind.search && packed.length > 1 ? [packed[0], joinBatches(packed.slice(1))] : [joinBatches(packed)];
    return {
      parts,
      counts: each.map(({ length }) => length),
      positions,
      ...(labels === undefined
        ? {}
        : {
            labelWidth: labels.width,
            labels: Float32Array.from(
              { length: positions.length * labels.width },
              (_, i) => labels.values[positions[Math.floor(i / labels.width)] * labels.width + (i % labels.width)],
            ),
          }),
    };
  };
}
