/**
 * A trie over UTF-16 code units in typed arrays: one open-addressed table of (node, unit) to child.
 *
 * Walking it costs one probe per unit, whatever the vocabulary's size. Node 0 is the root; a node's value is the id of
 * the string that ends there, or -1.
 */
export class Trie {
  private keys: Int32Array;
  private units: Uint16Array;
  private children: Int32Array;
  private mask: number;
  private values: Int32Array = new Int32Array(1024).fill(-1);
  private count = 1;
  /** Children of the root, for the first step. */
  private readonly roots = new Int32Array(65536);

  constructor(expectedNodes = 1024) {
    let size = 1024;
    while (size < expectedNodes * 2) size *= 2;
    this.keys = new Int32Array(size).fill(-1);
    this.units = new Uint16Array(size);
    this.children = new Int32Array(size);
    this.mask = size - 1;
  }

  /** A trie of strings; the value of each is what `values` holds at its place, or its place. */
  static from(strings: readonly string[], values?: ArrayLike<number>): Trie {
    let total = 0;
    for (const text of strings) total += text.length;
    const trie = new Trie(Math.min(total, 4_000_000));
    for (let index = 0; index < strings.length; index++) trie.add(strings[index], values ? values[index] : index);
    return trie;
  }

  /** Adds a string; a later value replaces an earlier one. The empty string is left out. */
  add(text: string, value: number): void {
    if (text === "") return;
    let node = 0;
    for (let unit = 0; unit < text.length; unit++) {
      const code = text.charCodeAt(unit);
      let child = this.child(node, code);
      if (child < 0) child = this.insert(node, code);
      node = child;
    }
    this.values[node] = value;
  }

  /** The child of a node by a code unit, or -1. */
  child(node: number, unit: number): number {
    if (node === 0) return this.roots[unit] || -1;
    let slot = (Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b)) >>> 7;
    for (slot &= this.mask; ; slot = (slot + 1) & this.mask) {
      const key = this.keys[slot];
      if (key === node && this.units[slot] === unit) return this.children[slot];
      if (key === -1) return -1;
    }
  }

  /** The value of the string that ends at a node, or -1. */
  value(node: number): number {
    return this.values[node];
  }

  private insert(node: number, unit: number): number {
    const created = this.count++;
    if (created >= this.values.length) {
      const longer = new Int32Array(this.values.length * 2).fill(-1);
      longer.set(this.values);
      this.values = longer;
    }
    if (node === 0) {
      this.roots[unit] = created;
      return created;
    }
    if (this.count * 2 > this.keys.length) this.grow();
    this.place(node, unit, created);
    return created;
  }

  private place(node: number, unit: number, child: number): void {
    let slot = ((Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b)) >>> 7) & this.mask;
    while (this.keys[slot] !== -1) slot = (slot + 1) & this.mask;
    this.keys[slot] = node;
    this.units[slot] = unit;
    this.children[slot] = child;
  }

  private grow(): void {
    const { keys, units, children } = this;
    const size = keys.length * 2;
    this.keys = new Int32Array(size).fill(-1);
    this.units = new Uint16Array(size);
    this.children = new Int32Array(size);
    this.mask = size - 1;
    for (let slot = 0; slot < keys.length; slot++) {
      if (keys[slot] !== -1) this.place(keys[slot], units[slot], children[slot]);
    }
  }
}
