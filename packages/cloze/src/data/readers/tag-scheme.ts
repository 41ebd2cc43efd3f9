// Tags that mark spans of tokens: B(egin), I(nside), E(nd)/L(ast), S(ingle)/U(nit), O(utside).
import { ClozeError } from "../../errors.js";
import { atOnce, type Steps } from "../../text/steps.js";

/** `BIO` is IOB2; `IOB1` writes B only where a span touches the one before of the same label. */
export type TagScheme = "BIO" | "IOB1" | "BIOES" | "BILOU";

/** All of {@link TagScheme}. */
export const tagSchemes: readonly TagScheme[] = ["BIO", "IOB1", "BIOES", "BILOU"];

/** A labelled span of tokens: `start` inclusive, `end` exclusive. */
export interface TagSpan {
  readonly start: number;
  readonly end: number;
  readonly label: string;
}

/** A tag that cannot stand where it stands, or is none of the scheme. */
export interface TagFault {
  readonly position: number;
  readonly tag: string;
  /** The tag before; undefined at the start. */
  readonly before: string | undefined;
}

type Role = "B" | "I" | "E" | "S" | "O";

interface Tag {
  readonly role: Role;
  readonly label: string;
}

const roles: Record<TagScheme, Readonly<Record<string, Role>>> = {
  BIO: { B: "B", I: "I" },
  IOB1: { B: "B", I: "I" },
  BIOES: { B: "B", I: "I", E: "E", S: "S" },
  BILOU: { B: "B", I: "I", L: "E", U: "S" },
};
const outside: Tag = { role: "O", label: "" };

/** The parts of a tag; undefined when it is none of the scheme. `-` and `_` may part them; the label may hold both. */
function parse(tag: string, scheme: TagScheme): Tag | undefined {
  if (tag === "O") return outside;
  const role = Object.hasOwn(roles[scheme], tag[0]) ? roles[scheme][tag[0]] : undefined;
  if (role === undefined || !/^.[-_]./s.test(tag)) return undefined;
  return { role, label: tag.slice(2) };
}

/** Whether a span ends between two tags, as the CoNLL scorer has it: also where tags contradict each other. */
const ends = (before: Tag, tag: Tag): boolean =>
  before.role !== "O" &&
  (before.role === "E" ||
    before.role === "S" ||
    tag.role === "O" ||
    tag.role === "B" ||
    tag.role === "S" ||
    tag.label !== before.label);

/** Whether `tag` may follow `before` (undefined at the start). */
function follows(before: Tag | undefined, tag: Tag, scheme: TagScheme): boolean {
  const open = before !== undefined && (before.role === "B" || before.role === "I");
  const same = before !== undefined && before.role !== "O" && before.label === tag.label;
  if (scheme === "IOB1") return tag.role !== "B" || same;
  if (scheme === "BIO") return tag.role !== "I" || same;
  const goesOn = tag.role === "I" || tag.role === "E";
  return open ? goesOn && same : !goesOn;
}

/** What {@link parseTags} gives. */
export interface ParsedTags {
  readonly spans: TagSpan[];
  readonly faults: TagFault[];
}

/**
 * The spans that tags mark, and the tags that break the scheme. Faulty tags are read as the CoNLL scorer reads them: I
 * after O, or after another label, begins a span; a tag that is none of the scheme stands for O.
 *
 * @example
 * parseTags(["B-PER", "I-PER", "O"], "BIO").spans; // [{ start: 0, end: 2, label: "PER" }]
 */
export const parseTags = (tags: readonly string[], scheme: TagScheme): ParsedTags =>
  atOnce(parseTagSteps(tags, scheme));

/** The same in steps of some thousand tags. */
export function* parseTagSteps(tags: readonly string[], scheme: TagScheme): Steps<ParsedTags> {
  const spans: TagSpan[] = [];
  const faults: TagFault[] = [];
  let before: Tag | undefined;
  let start = 0;
  for (let position = 0; position <= tags.length; position++) {
    if (position % 4096 === 4095) yield;
    const found = position < tags.length ? parse(tags[position], scheme) : outside;
    const tag = found ?? outside;
    const atEnd = position === tags.length;
    if (found === undefined || (!(atEnd && before === undefined) && !follows(before, tag, scheme))) {
      // A span that is open at the end of the sentence is the fault of its last tag.
      const at = atEnd ? position - 1 : position;
      if (faults.at(-1)?.position !== at) faults.push({ position: at, tag: tags[at], before: tags[at - 1] });
    }
    if (before !== undefined && ends(before, tag)) spans.push({ start, end: position, label: before.label });
    if (tag.role !== "O" && (before === undefined || before.role === "O" || ends(before, tag))) start = position;
    before = tag;
  }
  return { spans, faults };
}

/** The tags that break the scheme. */
export const checkTags = (tags: readonly string[], scheme: TagScheme): TagFault[] => parseTags(tags, scheme).faults;

/**
 * Tags of `length` tokens for spans that do not overlap.
 *
 * @throws TAG_SPAN for a span outside the tokens, an empty one, or two that overlap
 */
export function writeTags(length: number, spans: readonly TagSpan[], scheme: TagScheme): string[] {
  const tags = new Array<string>(length).fill("O");
  const [end, single] = scheme === "BILOU" ? ["L", "U"] : ["E", "S"];
  let last: TagSpan | undefined;
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    const least = last?.end ?? 0;
    if (!(Number.isInteger(span.start) && span.start >= least && span.end > span.start && span.end <= length)) {
      throw new ClozeError("TAG_SPAN", "A span cannot be written as tags", {
        expected: `a start from ${least}, and an end after it, up to ${length}; spans may not overlap`,
        received: `${span.start} to ${span.end} (${span.label})`,
      });
    }
    const touches = last !== undefined && last.end === span.start && last.label === span.label;
    for (let i = span.start; i < span.end; i++) tags[i] = `I-${span.label}`;
    if (scheme !== "IOB1" || touches) tags[span.start] = `B-${span.label}`;
    if (scheme === "BIOES" || scheme === "BILOU") {
      tags[span.end - 1] = `${end}-${span.label}`;
      if (span.end === span.start + 1) tags[span.start] = `${single}-${span.label}`;
    }
    last = span;
  }
  return tags;
}

/** Tags of one scheme in another; faulty ones are read as {@link parseTags} reads them. */
export const convertTags = (tags: readonly string[], from: TagScheme, to: TagScheme): string[] =>
  writeTags(tags.length, parseTags(tags, from).spans, to);

/**
 * The scheme that sentences are tagged in: of those that know all tags, the one with the fewest faults, `BIO` first.
 * Undefined when some tag is of no scheme (parts of speech, say).
 */
export function guessTagScheme(sentences: Iterable<readonly string[]>): TagScheme | undefined {
  const counts = new Map(tagSchemes.map((scheme) => [scheme, 0]));
  for (const tags of sentences) {
    for (const [scheme, count] of counts) {
      if (tags.every((tag) => parse(tag, scheme) !== undefined)) {
        counts.set(scheme, count + checkTags(tags, scheme).length);
      } else counts.delete(scheme);
    }
  }
  const [best] = [...counts].sort(([, a], [, b]) => a - b);
  return best?.[0];
}
