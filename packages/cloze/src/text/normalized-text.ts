/**
 * A text on its way through the pipeline, with the way back to the original.
 *
 * Each UTF-16 unit of `text` knows the range of the original that it came from. While nothing has moved, the ranges are
 * not stored: unit `i` came from `base + i`. An untracked text keeps no ranges at all, for callers who only want ids.
 *
 * @example
 * const text = new NormalizedText("Été");
 * text.mapCharacters((code) => (code === 0xc9 ? "E\u0301" : undefined));
 * text.text; // "E\u0301té"
 * text.originalEnd(2); // 1: both units came from the first character
 */
export class NormalizedText {
  /** Where each unit's original range starts and ends; null while unit `i` came from `base + i`. */
  starts: Int32Array | null = null;
  ends: Int32Array | null = null;

  /**
   * @param text the text so far.
   * @param base the offset of the text's first unit in the original; 0 by default.
   * @param tracked whether alignments are kept; true by default.
   */
  constructor(
    public text: string,
    readonly base = 0,
    readonly tracked = true,
  ) {}

  /** The offset in the original where the unit at `index` came from. */
  originalStart(index: number): number {
    return this.starts ? this.starts[index] : this.base + index;
  }

  /** The offset in the original where the unit before `index` ends. */
  originalEnd(index: number): number {
    return this.ends ? (index > 0 ? this.ends[index - 1] : this.base) : this.base + index;
  }

  /** A part of this text as a text of its own. */
  slice(start: number, end: number): NormalizedText {
    if (start === 0 && end === this.text.length && !this.starts) {
      return new NormalizedText(this.text, this.base, this.tracked);
    }
    const base = this.tracked && start < this.text.length ? this.originalStart(start) : this.base;
    const part = new NormalizedText(this.text.slice(start, end), base, this.tracked);
    if (this.starts && this.ends) {
      part.starts = this.starts.slice(start, end);
      part.ends = this.ends.slice(start, end);
    }
    return part;
  }

  /** Replaces the text by one of the same length whose units correspond one to one. */
  replaceInPlace(text: string): void {
    this.text = text;
  }

  /** Puts characters before the first; they count as part of it. Nothing happens to an empty text. */
  prepend(prefix: string): void {
    if (this.text === "" || prefix === "") return;
    const text = prefix + this.text;
    if (this.tracked) {
      const { starts, ends } = this.ranges();
      const first = this.text.codePointAt(0)! > 0xffff ? 2 : 1;
      const shiftedStarts = new Int32Array(text.length);
      const shiftedEnds = new Int32Array(text.length);
      shiftedStarts.set(starts, prefix.length);
      shiftedEnds.set(ends, prefix.length);
      shiftedStarts.fill(starts[0], 0, prefix.length + first);
      shiftedEnds.fill(ends[0], 0, prefix.length + first);
      this.starts = shiftedStarts;
      this.ends = shiftedEnds;
    }
    this.text = text;
  }

  /** Puts characters after the last; they count as part of it. Nothing happens to an empty text. */
  append(suffix: string): void {
    if (this.text === "" || suffix === "") return;
    const text = this.text + suffix;
    if (this.tracked) {
      const { starts, ends } = this.ranges();
      const length = this.text.length;
      const longerStarts = new Int32Array(text.length);
      const longerEnds = new Int32Array(text.length);
      longerStarts.set(starts);
      longerEnds.set(ends);
      longerStarts.fill(starts[length - 1], length);
      longerEnds.fill(ends[length - 1], length);
      this.starts = longerStarts;
      this.ends = longerEnds;
    }
    this.text = text;
  }

  /** Keeps the units from `start` to `end` only. */
  trim(start: number, end: number): void {
    if (start === 0 && end === this.text.length) return;
    if (this.tracked) {
      const { starts, ends } = this.ranges();
      this.starts = starts.slice(start, end);
      this.ends = ends.slice(start, end);
    }
    this.text = this.text.slice(start, end);
  }

  /**
   * Replaces characters one by one; whatever a character becomes is aligned with it.
   *
   * @param map gives what a character becomes ("" removes it), or undefined to leave it.
   */
  mapCharacters(map: (codePoint: number) => string | undefined): void {
    const { text } = this;
    let out = "";
    let copied = 0;
    let edits: number[] | null = null;
    for (let unit = 0; unit < text.length; ) {
      const code = text.codePointAt(unit)!;
      const next = unit + (code > 0xffff ? 2 : 1);
      const replacement = map(code);
      if (replacement !== undefined) {
        out += text.slice(copied, unit) + replacement;
        copied = next;
        if (this.tracked) {
          edits ??= [];
          edits.push(unit, next, replacement.length);
        }
      }
      unit = next;
    }
    if (copied === 0) return;
    out += text.slice(copied);
    if (edits) this.realign(out.length, edits);
    this.text = out;
  }

  /** Applies edits (start, end, new length) whose new units are each aligned with the whole replaced range. */
  private realign(length: number, edits: number[]): void {
    let sameLength = !this.starts;
    for (let edit = 0; sameLength && edit < edits.length; edit += 3) {
      sameLength = edits[edit + 1] - edits[edit] === 1 && edits[edit + 2] === 1;
    }
    if (sameLength) return;
    const { starts, ends } = this.ranges();
    const newStarts = new Int32Array(length);
    const newEnds = new Int32Array(length);
    let from = 0;
    let to = 0;
    const copy = (until: number): void => {
      newStarts.set(starts.subarray(from, until), to);
      newEnds.set(ends.subarray(from, until), to);
      to += until - from;
    };
    for (let edit = 0; edit < edits.length; edit += 3) {
      copy(edits[edit]);
      const end = edits[edit + 1];
      newStarts.fill(starts[edits[edit]], to, to + edits[edit + 2]);
      newEnds.fill(ends[end - 1], to, to + edits[edit + 2]);
      to += edits[edit + 2];
      from = end;
    }
    copy(starts.length);
    this.starts = newStarts;
    this.ends = newEnds;
  }

  /**
   * Replaces every match of a pattern; what replaces it is aligned with the last character of the match.
   *
   * @param matches ranges of the text, in order, not overlapping.
   */
  replaceRanges(matches: readonly (readonly [number, number])[], content: string): void {
    if (matches.length === 0) return;
    const { text } = this;
    const starts: number[] = [];
    const ends: number[] = [];
    const old = this.tracked ? this.ranges() : null;
    let out = "";
    let copied = 0;
    for (const [start, end] of matches) {
      out += text.slice(copied, start) + content;
      if (old) {
        for (let unit = copied; unit < start; unit++) {
          starts.push(old.starts[unit]);
          ends.push(old.ends[unit]);
        }
        const last = end - 1;
        const lastStart = last > 0 && isLowSurrogate(text.charCodeAt(last)) ? last - 1 : last;
        for (let unit = 0; unit < content.length; unit++) {
          starts.push(last < 0 ? this.base : this.originalStart(lastStart));
          ends.push(last < 0 ? this.base : this.originalEnd(last + 1));
        }
      }
      copied = end;
    }
    out += text.slice(copied);
    if (old) {
      for (let unit = copied; unit < text.length; unit++) {
        starts.push(old.starts[unit]);
        ends.push(old.ends[unit]);
      }
      this.starts = Int32Array.from(starts);
      this.ends = Int32Array.from(ends);
    }
    this.text = out;
  }

  /**
   * Replaces the whole text by characters that each say how they came about.
   *
   * @param characters the new characters.
   * @param changes per character: 0 takes the place of the next old one, 1 is inserted (aligned with the one before),
   *   -n takes the place of the next and swallows n more.
   */
  applyChanges(characters: readonly string[], changes: readonly number[]): void {
    const text = characters.join("");
    if (this.tracked) {
      const old = this.text;
      const { starts: oldStarts, ends: oldEnds } = this.ranges();
      const starts = new Int32Array(text.length);
      const ends = new Int32Array(text.length);
      const width = (unit: number): number => (unit < old.length && old.codePointAt(unit)! > 0xffff ? 2 : 1);
      let from = 0;
      let to = 0;
      for (let index = 0; index < characters.length; index++) {
        const change = changes[index];
        const source = Math.min(change > 0 ? from - 1 : from, old.length - 1);
        const start = source < 0 ? this.base : oldStarts[source];
        const end = source < 0 ? this.base : oldEnds[source];
        for (let taken = change > 0 ? 1 : change; taken < 1; taken++) from += width(from);
        for (let unit = 0; unit < characters[index].length; unit++) {
          starts[to] = start;
          ends[to] = end;
          to++;
        }
      }
      this.starts = starts;
      this.ends = ends;
    }
    this.text = text;
  }

  private ranges(): { starts: Int32Array; ends: Int32Array } {
    if (this.starts && this.ends) return { starts: this.starts, ends: this.ends };
    const { text, base } = this;
    const starts = new Int32Array(text.length);
    const ends = new Int32Array(text.length);
    for (let unit = 0; unit < text.length; unit++) {
      starts[unit] = base + unit;
      ends[unit] = base + unit + 1;
      const code = text.charCodeAt(unit);
      if (code >= 0xd800 && code <= 0xdbff) ends[unit]++;
      else if (isLowSurrogate(code)) starts[unit]--;
    }
    return { starts, ends };
  }
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}
