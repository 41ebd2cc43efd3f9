// Cutting data into parts: by a seed, so that the same rows land in the same part every time.
import { ClozeError } from "../../errors.js";
import { randomOrder, randomSource } from "../random-source.js";

/** How rows are dealt out. */
export interface SplitOptions<Row> {
  /** Decides which rows go where; 1 unless told. */
  seed?: number;
  /** Every part gets its share of each class: what this gives for a row. */
  stratifyBy?: (row: Row) => string;
  /** Rows of one group (a document, an author, …) stay together: what this gives for a row. */
  groupBy?: (row: Row) => string;
}

/** Rows to learn from, and rows to check on; both in their first order. */
export interface Split<Row> {
  readonly train: Row[];
  readonly dev: Row[];
}

/** Positions by key, keys in order of appearance, positions of each in a random order. */
function shuffledGroups<Row>(rows: readonly Row[], keyOf: (row: Row) => string, seed: number): number[][] {
  const groups = new Map<string, number[]>();
  for (const position of randomOrder(rows.length, randomSource(seed))) {
    const key = keyOf(rows[position]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [position]);
    else group.push(position);
  }
  return [...groups.values()];
}

/** The part (0 … count - 1) of every row, for parts of the given shares of the whole. */
function deal<Row>(rows: readonly Row[], shares: readonly number[], options: SplitOptions<Row>): Int32Array {
  const { seed = 1, stratifyBy, groupBy } = options;
  if (stratifyBy !== undefined && groupBy !== undefined) {
    throw new ClozeError("SPLIT", "Rows are dealt by class or by group, not both", {
      expected: "stratifyBy or groupBy",
      received: "both",
    });
  }
  const part = new Int32Array(rows.length);
  const filled = shares.map(() => 0);
  // What each part lacks most of its share of the rows dealt so far.
  const neediest = (dealt: number): number => {
    const lack = shares.map((share, i) => share * dealt - filled[i]);
    return lack.indexOf(Math.max(...lack));
  };
  let dealt = 0;
  const put = (positions: readonly number[], target: number): void => {
    for (const position of positions) part[position] = target;
    filled[target] += positions.length;
  };
  const groups = shuffledGroups(rows, groupBy ?? stratifyBy ?? (() => ""), seed);
  if (groupBy !== undefined) {
    // Large groups first: the small ones even out what they leave.
    groups.sort((a, b) => b.length - a.length);
    for (const [i, group] of groups.entries()) {
      dealt += group.length;
      // The last groups go to parts that have nothing yet.
      const bare = filled.indexOf(0);
      const short = filled.filter((size) => size === 0).length >= groups.length - i;
      put(group, short && bare >= 0 ? bare : neediest(dealt));
    }
    return part;
  }
  // Class after class, one by one: every run of rows is dealt by the shares, so each class is, to within a row.
  for (const group of groups) for (const position of group) put([position], neediest(++dealt));
  return part;
}

function checkParts<Row>(part: Int32Array, count: number, options: SplitOptions<Row>): void {
  for (let i = 0; i < count; i++) {
    if (part.includes(i)) continue;
    throw new ClozeError("SPLIT", "A part of the split would be empty", {
      expected: `rows${options.groupBy === undefined ? "" : " (whole groups)"} for ${count} parts`,
      received: `${part.length} rows`,
      remedy: "Give more rows, or ask for fewer or larger parts.",
    });
  }
}

/**
 * Splits rows in two.
 *
 * @param share of the rows that go to `dev`, between 0 and 1
 * @throws SPLIT
 * @example
 * const { train, dev } = splitRows(rows, 0.1, { stratifyBy: ({ label }) => String(label) });
 */
export function splitRows<Row>(rows: readonly Row[], share: number, options: SplitOptions<Row> = {}): Split<Row> {
  if (!(share > 0 && share < 1)) {
    throw new ClozeError("SPLIT", "No such share can be split off", {
      expected: "a number between 0 and 1",
      received: String(share),
    });
  }
  const part = deal(rows, [1 - share, share], options);
  checkParts(part, 2, options);
  return { train: rows.filter((_, i) => part[i] === 0), dev: rows.filter((_, i) => part[i] === 1) };
}

/**
 * `count` splits for cross-validation: every row is in `dev` once.
 *
 * @throws SPLIT
 */
export function foldRows<Row>(rows: readonly Row[], count: number, options: SplitOptions<Row> = {}): Split<Row>[] {
  if (!Number.isInteger(count) || count < 2 || count > rows.length) {
    throw new ClozeError("SPLIT", "So many folds cannot be made", {
      expected: `a whole number from 2 to ${rows.length}`,
      received: String(count),
    });
  }
  const part = deal(rows, new Array<number>(count).fill(1 / count), options);
  checkParts(part, count, options);
  return Array.from({ length: count }, (_, fold) => ({
    train: rows.filter((_, i) => part[i] !== fold),
    dev: rows.filter((_, i) => part[i] === fold),
  }));
}
