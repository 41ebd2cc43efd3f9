// Where the largest number of each column stands, for each sequence of a packed batch.

export interface LargestRows {
  /** 0 for sequences without rows. [sequences x columns] */
  readonly values: Float32Array | Float64Array;
  /** The first row that holds it; -1 for sequences without rows. [sequences x columns] */
  readonly rows: Int32Array;
}

/**
 * The largest number of each column in each sequence; a NaN is the largest. Row by row, as the numbers lie: down the columns each
 * one would come from another place of the memory.
 *
 * @param x [rows x columns]
 * @param ends where sequences begin and end: [sequences + 1]
 */
export function largestRows(x: Float32Array | Float64Array, ends: Int32Array, columns: number): LargestRows {
  const count = ends.length - 1;
  const values = x instanceof Float64Array ? new Float64Array(count * columns) : new Float32Array(count * columns);
  const rows = new Int32Array(count * columns).fill(-1);
  for (let s = 0; s < count; s++) {
    const [first, end] = [ends[s], ends[s + 1]];
    if (first === end) continue;
    const base = s * columns;
    values.set(x.subarray(first * columns, (first + 1) * columns), base);
    rows.fill(first, base, base + columns);
    for (let row = first + 1; row < end; row++) {
      const from = row * columns;
      for (let column = 0; column < columns; column++) {
        const value = x[from + column];
        const best = values[base + column];
        // Of equals the first; a NaN is larger than all, and nothing is larger than it.
        if (value <= best || Number.isNaN(best)) continue;
        values[base + column] = value;
        rows[base + column] = row;
      }
    }
  }
  return { values, rows };
}
