// Random bits as a function of (seed, row, column), the same as native/counter-random.h: a dropout mask is computed
// again in the backward pass instead of being stored, and does not depend on threads.

export function mixBits(value: number): number {
  let x = value >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x21f0aaad);
  x ^= x >>> 15;
  x = Math.imul(x, 0x735a2d97);
  x ^= x >>> 15;
  return x >>> 0;
}

/** What the columns of a row share. */
export const rowKey = (seed: number, row: number): number => mixBits(seed ^ mixBits(row + 0x9e3779b9));

/** 32 random bits of one column of a row. */
export const randomBits = (key: number, column: number): number => mixBits(key + Math.imul(column, 0x9e3779b9));

/** A value is dropped when its bits are below this. */
export const dropThreshold = (rate: number): number => Math.floor(Math.fround(rate) * 4294967296);

/** Whether dropout keeps the value at (row, column). */
export const keeps = (seed: number, row: number, column: number, rate: number): boolean =>
  randomBits(rowKey(seed, row), column) >= dropThreshold(rate);
