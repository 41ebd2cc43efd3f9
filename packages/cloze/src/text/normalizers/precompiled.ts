import type { JsonReader } from "../json-reader.js";
import type { NormalizedText } from "../normalized-text.js";
import type { Normalizer } from "./normalizer.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
let segmenter: Intl.Segmenter | null = null;

/**
 * SentencePiece's compiled character map: a double-array trie over UTF-8 bytes that leads to replacement texts.
 *
 * The map is applied to whole grapheme clusters first, then to single characters.
 */
export class PrecompiledNormalizer implements Normalizer {
  readonly cutsAtSpaces = true;
  private readonly units: Uint32Array;
  private readonly replacements: Uint8Array;
  private readonly known = new Map<string, string | null>();

  /** @param charsmap the bytes of `precompiled_charsmap`: the trie's size, the trie, the replacement texts. */
  constructor(charsmap: Uint8Array) {
    const view = new DataView(charsmap.buffer, charsmap.byteOffset, charsmap.byteLength);
    const size = charsmap.length >= 4 ? view.getUint32(0, true) : 0;
    const count = Math.min(size, Math.max(0, charsmap.length - 4)) >> 2;
    this.units = new Uint32Array(count);
    for (let unit = 0; unit < count; unit++) this.units[unit] = view.getUint32(4 + unit * 4, true);
    this.replacements = charsmap.subarray(4 + count * 4);
  }

  normalize(text: NormalizedText): void {
    if (this.units.length === 0) return;
    const characters: string[] = [];
    const changes: number[] = [];
    let modified = false;
    const keep = (character: string): void => {
      characters.push(character);
      changes.push(0);
    };
    const replace = (oldLength: number, replacement: string): void => {
      modified = true;
      let newLength = 0;
      for (const character of replacement) {
        keep(character);
        newLength++;
      }
      const difference = newLength - oldLength;
      for (let added = 1; added <= difference; added++) changes[changes.length - added] = 1;
      if (difference < 0 && changes.length > 0) changes[changes.length - 1] += difference;
    };
    for (const grapheme of graphemes(text.text)) {
      const whole = utf8Length(grapheme) < 6 ? this.lookUp(grapheme) : null;
      if (whole !== null) {
        replace([...grapheme].length, whole);
        continue;
      }
      for (const character of grapheme) {
        const single = this.lookUp(character);
        if (single === null) keep(character);
        else replace(1, single);
      }
    }
    if (modified) text.applyChanges(characters, changes);
  }

  /** The replacement of the shortest prefix in the map, or null. */
  private lookUp(text: string): string | null {
    let found = this.known.get(text);
    if (found === undefined) {
      found = this.search(encoder.encode(text));
      if (this.known.size < 65536) this.known.set(text, found);
    }
    return found;
  }

  private search(key: Uint8Array): string | null {
    const { units, replacements } = this;
    const offset = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
    let node = offset(units[0]);
    for (const byte of key) {
      if (byte === 0) return null;
      node ^= byte;
      if (node < 0 || node >= units.length) return null;
      const unit = units[node];
      if ((unit & 0x800000ff) >>> 0 !== byte) return null;
      node ^= offset(unit);
      if (((unit >>> 8) & 1) === 1) {
        if (node < 0 || node >= units.length) return null;
        const start = units[node] & 0x7fffffff;
        if (start > replacements.length) return null;
        let end = start;
        while (end < replacements.length && replacements[end] !== 0) end++;
        return decoder.decode(replacements.subarray(start, end));
      }
    }
    return null;
  }
}

/** Grapheme clusters; runs of ASCII need no segmenter. */
function* graphemes(text: string): Generator<string> {
  let unit = 0;
  const ascii = (at: number): boolean => at >= text.length || text.charCodeAt(at) < 128;
  while (unit < text.length) {
    if (ascii(unit) && ascii(unit + 1)) {
      const pair = text.charCodeAt(unit) === 13 && text.charCodeAt(unit + 1) === 10;
      yield text.slice(unit, unit + (pair ? 2 : 1));
      unit += pair ? 2 : 1;
      continue;
    }
    let end = unit + 1;
    while (end < text.length && !(ascii(end - 1) && ascii(end))) end++;
    segmenter ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
    for (const { segment } of segmenter.segment(text.slice(unit, end))) yield segment;
    unit = end;
  }
}

/** Bytes of a text in UTF-8. */
function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

/** Reads `{"type": "Precompiled", "precompiled_charsmap": base64}`. */
export function readPrecompiled(reader: JsonReader): Normalizer {
  const charsmap = reader.has("precompiled_charsmap") ? reader.string("precompiled_charsmap") : "";
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(charsmap)) throw reader.fail("precompiled_charsmap", "bytes in base64");
  return new PrecompiledNormalizer(Uint8Array.from(atob(charsmap), (character) => character.charCodeAt(0)));
}
