// Positions of characters. JavaScript counts UTF-16 units, Python counts code points; they part ways at the first emoji.

/** A string's positions by code points: `units[i]` is where the i-th code point begins, in UTF-16 units. */
export function codePointStarts(text: string): Int32Array {
  const starts: number[] = [];
  for (let at = 0; at < text.length; at += (text.codePointAt(at) as number) > 0xffff ? 2 : 1) starts.push(at);
  starts.push(text.length);
  return Int32Array.from(starts);
}

/** Whether code points and UTF-16 units count differently in a text. */
export const hasWideCharacters = (text: string): boolean => /[\u{10000}-\u{10ffff}]/u.test(text);

/**
 * Where `surface` stands in `text` if the position given for it is taken as UTF-16 units, else as code points; undefined
 * when it stands at neither. In UTF-16 units.
 */
export function locate(
  text: string,
  surface: string,
  position: number,
): { start: number; unit: "utf16" | "code-point" } | undefined {
  if (text.startsWith(surface, position) && position >= 0) return { start: position, unit: "utf16" };
  if (!hasWideCharacters(text)) return undefined;
  const start = codePointStarts(text)[position];
  return start !== undefined && text.startsWith(surface, start) ? { start, unit: "code-point" } : undefined;
}
