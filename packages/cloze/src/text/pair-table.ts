/**
 * A hash table from pairs of ids to an index, counted from 0 in the order of insertion.
 *
 * Ids are whole numbers from 0 to 2^31 - 1. Look-ups allocate nothing.
 */
export class PairTable {
  /** The first and second id of each index. */
  left: Int32Array;
  right: Int32Array;
  size = 0;
  private slots: Int32Array;
  private mask: number;

  constructor(capacity = 1024) {
    let slots = 2048;
    while (slots < capacity * 2) slots *= 2;
    this.slots = new Int32Array(slots).fill(-1);
    this.mask = slots - 1;
    this.left = new Int32Array(slots >> 1);
    this.right = new Int32Array(slots >> 1);
  }

  /** The index of a pair, or -1. */
  find(left: number, right: number): number {
    let slot = hash(left, right) & this.mask;
    for (;;) {
      const index = this.slots[slot];
      if (index < 0 || (this.left[index] === left && this.right[index] === right)) return index;
      slot = (slot + 1) & this.mask;
    }
  }

  /** The index of a pair, added where it is new. */
  add(left: number, right: number): number {
    let slot = hash(left, right) & this.mask;
    for (;;) {
      const index = this.slots[slot];
      if (index < 0) break;
      if (this.left[index] === left && this.right[index] === right) return index;
      slot = (slot + 1) & this.mask;
    }
    if (this.size >= this.left.length) {
      this.grow();
      return this.add(left, right);
    }
    const index = this.size++;
    this.left[index] = left;
    this.right[index] = right;
    this.slots[slot] = index;
    return index;
  }

  private grow(): void {
    const size = this.slots.length * 2;
    this.slots = new Int32Array(size).fill(-1);
    this.mask = size - 1;
    const left = new Int32Array(size >> 1);
    const right = new Int32Array(size >> 1);
    left.set(this.left);
    right.set(this.right);
    this.left = left;
    this.right = right;
    for (let index = 0; index < this.size; index++) {
      let slot = hash(left[index], right[index]) & this.mask;
      while (this.slots[slot] >= 0) slot = (slot + 1) & this.mask;
      this.slots[slot] = index;
    }
  }
}

function hash(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca77);
  return (mixed ^ (mixed >>> 15)) >>> 1;
}
