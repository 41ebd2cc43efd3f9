/**
 * Remembers the ids of chunks of text, looked up by their place in a longer text, so that a chunk that is known costs
 * neither a string nor a search: about as long as reading its characters.
 *
 * Chunks and ids lie end to end in two pools. When a pool is full, everything is forgotten.
 */
export class ChunkCache {
  private readonly slots: Int32Array;
  private readonly mask: number;
  private readonly hashes: Int32Array;
  /** Where each entry's characters begin; those of entry `i` end where those of `i + 1` begin. So do its ids. */
  private readonly characterStarts: Int32Array;
  private readonly idStarts: Int32Array;
  private readonly characters: Uint16Array;
  ids: Int32Array;
  private count = 0;
  /** Where the ids lie of the entry that the last `find` found. */
  start = 0;
  end = 0;

  /** @param entries the most entries; chunks of 16 characters and 8 ids on average fit. */
  constructor(private readonly entries = 1 << 16) {
    this.slots = new Int32Array(entries * 2).fill(-1);
    this.mask = this.slots.length - 1;
    this.hashes = new Int32Array(entries);
    this.characterStarts = new Int32Array(entries + 1);
    this.idStarts = new Int32Array(entries + 1);
    this.characters = new Uint16Array(entries * 16);
    this.ids = new Int32Array(entries * 8);
  }

  /** Looks units `start` to `end` of a text up; true where they are known, and `start` and `end` then tell their ids. */
  find(text: string, start: number, end: number, hash: number): boolean {
    const { slots, hashes, characterStarts, characters, mask } = this;
    for (let slot = spread(hash) & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot];
      if (entry < 0) return false;
      if (hashes[entry] !== hash) continue;
      let at = characterStarts[entry];
      if (characterStarts[entry + 1] - at !== end - start) continue;
      let unit = start;
      while (unit < end && text.charCodeAt(unit) === characters[at]) {
        unit++;
        at++;
      }
      if (unit < end) continue;
      this.start = this.idStarts[entry];
      this.end = this.idStarts[entry + 1];
      return true;
    }
  }

  /** Remembers a chunk that is not known yet. */
  add(text: string, start: number, end: number, hash: number, ids: Int32Array): void {
    const length = end - start;
    if (length > this.characters.length >> 4 || ids.length > this.ids.length >> 4) return;
    if (
      this.count >= this.entries ||
      this.characterStarts[this.count] + length > this.characters.length ||
      this.idStarts[this.count] + ids.length > this.ids.length
    ) {
      this.count = 0;
      this.slots.fill(-1);
    }
    const entry = this.count++;
    const from = this.characterStarts[entry];
    for (let unit = 0; unit < length; unit++) this.characters[from + unit] = text.charCodeAt(start + unit);
    this.characterStarts[entry + 1] = from + length;
    this.ids.set(ids, this.idStarts[entry]);
    this.idStarts[entry + 1] = this.idStarts[entry] + ids.length;
    this.hashes[entry] = hash;
    let slot = spread(hash) & this.mask;
    while (this.slots[slot] >= 0) slot = (slot + 1) & this.mask;
    this.slots[slot] = entry;
  }
}

/** What the hash of a chunk begins with; `hashUnit` adds a unit. */
export const EMPTY_HASH = 0x811c9dc5 | 0;

/** The hash of a chunk with one more UTF-16 unit. */
export function hashUnit(hash: number, unit: number): number {
  return Math.imul(hash ^ unit, 0x01000193);
}

function spread(hash: number): number {
  return hash ^ (hash >>> 15);
}
