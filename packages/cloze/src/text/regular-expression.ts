import { ClozeError } from "../errors.js";
import { classOfRanges } from "./unicode.js";
import { YOUNGER_CHARACTERS } from "./unicode-tables.js";

/** What a property holds, without the characters that did not exist when vocabularies were learnt. */
const YOUNGER = classOfRanges(YOUNGER_CHARACTERS);
/** `\w` of Oniguruma counts superscript digits and fractions of Latin-1 in. */
const WORD = `[[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\xb2\\xb3\\xb9\\xbc-\\xbe]--[${YOUNGER}]]`;

const CLASS_ESCAPES: Readonly<Record<string, string>> = {
  s: "\\p{White_Space}",
  S: "\\P{White_Space}",
  d: "\\p{Nd}",
  D: "\\P{Nd}",
  w: WORD,
  W: `[^${WORD}]`,
  h: "[0-9a-fA-F]",
  H: "[^0-9a-fA-F]",
};

const ANCHOR_ESCAPES: Readonly<Record<string, string>> = {
  A: "(?<![\\s\\S])",
  z: "(?![\\s\\S])",
  Z: "(?=\\n?(?![\\s\\S]))",
  b: `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`,
};

const POSIX: Readonly<Record<string, string>> = {
  alpha: "\\p{Alphabetic}",
  digit: "\\p{Nd}",
  alnum: "\\p{Alphabetic}\\p{M}\\p{Nd}",
  punct: "\\p{P}\\p{S}",
  space: "\\p{White_Space}",
  upper: "\\p{Uppercase}",
  lower: "\\p{Lowercase}",
  cntrl: "\\p{Cc}",
  xdigit: "0-9a-fA-F",
  word: "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}",
};

function property(name: string, negated: boolean): string {
  const letter = negated ? "P" : "p";
  for (const candidate of [name, `Script=${name}`, `gc=${name}`]) {
    try {
      new RegExp(`\\p{${candidate}}`, "v");
      const all = `\\${letter}{${candidate}}`;
      if (/^(?:C|Cn|Other|Unassigned|White_Space)$/.test(name)) return all;
      return negated ? `[${all}${YOUNGER}]` : `[${all}--[${YOUNGER}]]`;
    } catch {
      // Not a property by this name; try the next spelling.
    }
  }
  const posix = POSIX[name.toLowerCase()];
  if (posix === undefined) throw new SyntaxError(`unknown character property ${name}`);
  return `[${negated ? "^" : ""}${posix}]`;
}

/** Turns the Oniguruma syntax of `tokenizer.json` into a JavaScript pattern for the `v` flag. */
class Translator {
  private position = 0;
  private groups = 0;

  constructor(private readonly source: string) {}

  translate(): string {
    const body = this.alternatives(false);
    if (this.position < this.source.length) throw new SyntaxError("unmatched )");
    return body;
  }

  private alternatives(ignoreCase: boolean): string {
    let out = "";
    let insensitive = ignoreCase;
    while (this.position < this.source.length && this.source[this.position] !== ")") {
      if (this.source[this.position] === "|") {
        out += "|";
        this.position++;
        continue;
      }
      const flags = /^\(\?([imx]*)(?:-([imx]*))?\)/.exec(this.source.slice(this.position));
      if (flags) {
        if (flags[1].includes("i")) insensitive = true;
        if (flags[2]?.includes("i")) insensitive = false;
        this.position += flags[0].length;
        continue;
      }
      out += this.quantified(this.atom(insensitive));
    }
    return out;
  }

  private quantified(atom: string): string {
    let out = atom;
    for (;;) {
      const match = /^(?:[*+?]|\{\d*,?\d*\})/.exec(this.source.slice(this.position));
      if (!match || match[0] === "{}" || match[0] === "{,}") return out;
      this.position += match[0].length;
      const range = match[0].startsWith("{,") ? `{0,${match[0].slice(2)}` : match[0];
      const after = this.source[this.position];
      if (after === "?") {
        this.position++;
        out = `(?:${out}${range}?)`;
      } else if (after === "+" && !range.startsWith("{")) {
        this.position++;
        out = this.atomic(`${out}${range}`);
      } else {
        out = `(?:${out}${range})`;
      }
    }
  }

  private atomic(body: string): string {
    const name = `atomic${++this.groups}`;
    return `(?:(?=(?<${name}>${body}))\\k<${name}>)`;
  }

  private atom(ignoreCase: boolean): string {
    const character = String.fromCodePoint(this.source.codePointAt(this.position)!);
    if (character === "(") return this.group(ignoreCase);
    if (character === "[") return this.characterClass(ignoreCase);
    this.position += character.length;
    if (character === "\\") return this.escape(false, ignoreCase);
    if (character === ".") return "[^\\n]";
    if (character === "^") return "(?<![^\\n])";
    if (character === "$") return "(?![^\\n])";
    return literal(character, ignoreCase, false);
  }

  private group(ignoreCase: boolean): string {
    const rest = this.source.slice(this.position);
    const comment = /^\(\?#[^)]*\)/.exec(rest);
    if (comment) {
      this.position += comment[0].length;
      return "(?:)";
    }
    const head = /^\((?:\?(?:(<?[=!]|>|:)|<([A-Za-z_]\w*)>|([imx]*)(?:-([imx]*))?:))?/.exec(rest)!;
    if (rest.startsWith("(?") && head[0] === "(") throw new SyntaxError(`unknown group ${rest.slice(0, 4)}`);
    this.position += head[0].length;
    const insensitive = head[3]?.includes("i") ? true : head[4]?.includes("i") ? false : ignoreCase;
    const body = this.alternatives(insensitive);
    if (this.source[this.position] !== ")") throw new SyntaxError("missing )");
    this.position++;
    if (head[1] === ">") return this.atomic(body);
    if (head[1] !== undefined && head[1] !== ":") return `(?${head[1]}${body})`;
    return head[0] === "(" || head[2] !== undefined ? `(${body})` : `(?:${body})`;
  }

  private characterClass(ignoreCase: boolean): string {
    let out = "[";
    this.position++;
    if (this.source[this.position] === "^") {
      out += "^";
      this.position++;
    }
    let first = true;
    for (;;) {
      if (this.position >= this.source.length) throw new SyntaxError("missing ]");
      const character = String.fromCodePoint(this.source.codePointAt(this.position)!);
      const posix = /^\[:(\^?)([a-z]+):\]/.exec(this.source.slice(this.position));
      if (character === "]" && !first) {
        this.position++;
        return `${out}]`;
      }
      if (posix && POSIX[posix[2]] !== undefined) {
        out += `[${posix[1]}${POSIX[posix[2]]}]`;
        this.position += posix[0].length;
      } else if (character === "[") {
        out += this.characterClass(ignoreCase);
      } else if (this.source.startsWith("&&", this.position)) {
        // Both sides of an intersection must be one operand in a `v` class.
        out = `[${out.startsWith("[^") ? "^" : ""}[${out.replace(/^\[\^?/, "")}]&&`;
        this.position += 2;
        const rest = this.characterClassRest(ignoreCase);
        return `${out}[${rest}]]`;
      } else {
        out += this.classItem(character, ignoreCase);
      }
      first = false;
    }
  }

  private characterClassRest(ignoreCase: boolean): string {
    let out = "";
    while (this.source[this.position] !== "]") {
      if (this.position >= this.source.length) throw new SyntaxError("missing ]");
      const character = String.fromCodePoint(this.source.codePointAt(this.position)!);
      out += character === "[" ? this.characterClass(ignoreCase) : this.classItem(character, ignoreCase);
    }
    this.position++;
    return out;
  }

  private classItem(character: string, ignoreCase: boolean): string {
    this.position += character.length;
    if (character === "\\") return this.escape(true, ignoreCase);
    if (character === "-") {
      const before = this.source[this.position - 2];
      const after = this.source[this.position];
      const between = before !== "[" && before !== "^" && after !== "]" && after !== "[";
      const escapedBefore = /\\[sSdDwWhHpP]$/.test(this.source.slice(0, this.position - 1));
      return between && !escapedBefore && !this.source.slice(0, this.position - 1).endsWith("}") ? "-" : "\\-";
    }
    return literal(character, ignoreCase && this.source[this.position] !== "-", true);
  }

  private escape(inClass: boolean, ignoreCase: boolean): string {
    const character = String.fromCodePoint(this.source.codePointAt(this.position) ?? 0x5c);
    this.position += character.length;
    if (character === "p" || character === "P") {
      const match = /^\{(\^?)([^}]+)\}/.exec(this.source.slice(this.position));
      const name = match ? match[2] : this.source[this.position];
      this.position += match ? match[0].length : 1;
      return property(name, (character === "P") !== (match?.[1] === "^"));
    }
    if (CLASS_ESCAPES[character] !== undefined) return CLASS_ESCAPES[character];
    if (!inClass && ANCHOR_ESCAPES[character] !== undefined) return ANCHOR_ESCAPES[character];
    const code = /^(?:x\{([0-9a-fA-F]+)\}|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4}))/.exec(
      this.source.slice(this.position - 1),
    );
    if (code) {
      this.position += code[0].length - 1;
      return `\\u{${code[1] ?? code[2] ?? code[3]}}`;
    }
    if (/[ntrfv]/.test(character)) return `\\${character}`;
    if (/[1-9]/.test(character) && !inClass) return `\\${character}`;
    return literal(character, ignoreCase, inClass);
  }
}

function literal(character: string, ignoreCase: boolean, inClass: boolean): string {
  const lower = character.toLowerCase();
  const upper = character.toUpperCase();
  if (ignoreCase && lower !== upper && [...lower].length === 1 && [...upper].length === 1) {
    return inClass ? lower + upper : `[${lower}${upper}]`;
  }
  const needsEscape = inClass ? /[()[\]{}/\-\\|&!#$%*+,.:;<=>?@^`~]/ : /[\\^$.*+?()[\]{}|/]/;
  return needsEscape.test(character) ? `\\${character}` : character;
}

/**
 * Compiles a regular expression as `tokenizer.json` files write them (Oniguruma syntax).
 *
 * @returns a global expression with the `v` flag.
 * @throws ClozeError `TOKENIZER_INVALID_PATTERN` where the pattern has no equal in JavaScript.
 * @example
 * compileRegularExpression("(?i:'s|'t)| ?\\p{L}++");
 */
export function compileRegularExpression(source: string): RegExp {
  try {
    return new RegExp(new Translator(source).translate(), "gv");
  } catch (cause) {
    throw new ClozeError("TOKENIZER_INVALID_PATTERN", "A pattern of the tokenizer cannot be compiled.", {
      expected: "a regular expression in Oniguruma syntax",
      received: source.length > 80 ? `${source.slice(0, 77)}...` : source,
      remedy: cause instanceof Error ? `(${cause.message})` : undefined,
      cause,
    });
  }
}
