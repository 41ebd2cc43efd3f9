/**
 * The printable stand-ins for bytes that byte-level vocabularies are written with.
 *
 * Bytes that print (33-126, 161-172, 174-255) stand for themselves; the others, in order, are U+0100, U+0101, and so
 * on: a space is `Ġ`, a line feed `Ċ`.
 */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  const characters: string[] = [];
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    characters.push(String.fromCharCode(printable ? byte : next++));
  }
  return characters;
})();

/** The byte that a stand-in character stands for. */
export const CHARACTER_BYTES: ReadonlyMap<string, number> = new Map(
  BYTE_CHARACTERS.map((character, byte) => [character, byte]),
);

const encoder = new TextEncoder();

/** UTF-8 bytes of a text, each written as its stand-in. */
export function toByteCharacters(text: string): string {
  let out = "";
  for (let unit = 0; unit < text.length; unit++) {
    const code = text.charCodeAt(unit);
    if (code > 127) return bytesToCharacters(encoder.encode(text));
    out += BYTE_CHARACTERS[code];
  }
  return out;
}

function bytesToCharacters(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += BYTE_CHARACTERS[byte];
  return out;
}

/**
 * For each UTF-8 byte of a text, and for its end, the UTF-16 offset of the character that the byte belongs to.
 *
 * @returns `starts[byte]` is where its character starts; `ends[byte]` where it ends.
 */
export function byteToUnit(text: string): { starts: Int32Array; ends: Int32Array } {
  const capacity = text.length * 3 + 1;
  const starts = new Int32Array(capacity);
  const ends = new Int32Array(capacity);
  let byte = 0;
  for (let unit = 0; unit < text.length; ) {
    const code = text.codePointAt(unit)!;
    const units = code > 0xffff ? 2 : 1;
    const bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (let count = 0; count < bytes; count++) {
      starts[byte] = unit;
      ends[byte] = unit + units;
      byte++;
    }
    unit += units;
  }
  starts[byte] = text.length;
  ends[byte] = text.length;
  return { starts: starts.subarray(0, byte + 1), ends: ends.subarray(0, byte + 1) };
}
