// White space as Python sees it. JavaScript's \s differs: it has U+FEFF, and lacks U+001C to U+001F and U+0085.
const space = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const spaces = new RegExp(space, "u");
const lastSpaces = new RegExp(`(?<!${space.slice(0, -1)})${space}$`, "u");

/** The parts of a text between runs of Unicode white space. */
export const splitWords = (text: string): string[] => text.split(spaces).filter((word) => word !== "");

/** A text without the white space at its end. */
export const stripEnd = (text: string): string => text.replace(lastSpaces, "");
