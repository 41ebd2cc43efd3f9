// Entities from token tags, and how well predicted ones fit, as seqeval counts them.
import { ClozeError } from "../errors.js";
import {
  type Counts,
  macroAverage,
  microAverage,
  type Scores,
  type SupportedScores,
  scoresOf,
  weightedAverage,
} from "./scores.js";
import { checkRows } from "./shape.js";

/** Tags of a sentence: "O", or a prefix and a type as in "B-PER". */
export type Tags = readonly string[];

/** How strict mode reads prefixes: begin, inside, (end | last), outside, (single | unit). */
export type TagScheme = "BIO" | "BIOES" | "BILOU";

/** An entity: tokens from `start` up to, but not including, `end`. */
export interface EntitySpan {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

export interface EntityOptions {
  /**
   * The scheme that an entity must follow to the letter. Default: lenient, as conlleval and seqeval's default: entities may
   * begin with any prefix, and end where the type changes. Lenient mode knows B, I, E, S and O; an L or U only continues.
   */
  strict?: TagScheme;
}

/** Scores of one type. */
export interface EntityTypeScores extends SupportedScores {
  readonly type: string;
}

/** Scores of all types. An entity counts as right when type, start and end are. */
export interface EntityReport {
  /** Types of right or predicted entities, sorted. */
  readonly types: readonly EntityTypeScores[];
  readonly micro: SupportedScores;
  readonly macro: Scores;
  readonly weighted: Scores;
  /** Tags whose prefix lenient mode does not know; it takes their first letter for one, as seqeval does (with a warning). */
  readonly unknownTags: number;
}

const schemes: Record<TagScheme, { readonly prefixes: string; readonly start: string; readonly end: string }> = {
  BIO: { prefixes: "BIO", start: "B", end: "BI" },
  BIOES: { prefixes: "BIOES", start: "BS", end: "ES" },
  BILOU: { prefixes: "BILOU", start: "BU", end: "LU" },
};

const invalid = (expected: string, tag: string, place: number): ClozeError =>
  new ClozeError("METRIC_VALUE", "A token has a tag that cannot be read", {
    expected,
    received: `"${tag}" at token ${place}`,
  });

interface Tag {
  readonly prefix: string;
  readonly type: string;
}

/** "B-PER" is B and PER; a tag without a type has the type "_". */
function readLenient(tag: string, place: number): Tag {
  if (tag === "") throw invalid('a tag, "O" outside of entities', tag, place);
  const dash = tag.indexOf("-", 1);
  return { prefix: tag[0], type: tag.slice(dash < 0 ? 1 : dash + 1) || "_" };
}

const outside: Tag = { prefix: "O", type: "_" };

/** Whether an entity ends between two tokens. An E or S ends one, a B or S begins another, and so does another type. */
const endsBetween = (before: Tag, after: Tag): boolean =>
  "ES".includes(before.prefix) ||
  ("BI".includes(before.prefix) && "BSO".includes(after.prefix)) ||
  (!"O.".includes(before.prefix) && before.type !== after.type);

/** Whether an entity starts at the second of two tokens. */
const startsBetween = (before: Tag, after: Tag): boolean =>
  "BS".includes(after.prefix) ||
  ("ESO".includes(before.prefix) && "EI".includes(after.prefix)) ||
  (!"O.".includes(after.prefix) && before.type !== after.type);

function lenientSpans(tags: Tags): EntitySpan[] {
  const spans: EntitySpan[] = [];
  let before = outside;
  let start = 0;
  for (let place = 0; place <= tags.length; place++) {
    const tag = place < tags.length ? readLenient(tags[place], place) : outside;
    if (endsBetween(before, tag)) spans.push({ type: before.type, start, end: place });
    if (startsBetween(before, tag)) start = place;
    before = tag;
  }
  return spans;
}

function strictSpans(tags: Tags, scheme: TagScheme): EntitySpan[] {
  const { prefixes, start: starters, end: enders } = schemes[scheme];
  const read = tags.map((tag, place): Tag => {
    if (tag === "" || !prefixes.includes(tag[0])) throw invalid(`prefixes of ${scheme}`, tag, place);
    return { prefix: tag[0], type: tag.slice(1).replace(/^-+|-+$/g, "") || "_" };
  });
  const continues = (before: Tag, after: Tag): boolean =>
    "BI".includes(before.prefix) && "IEL".includes(after.prefix) && before.type === after.type;
  const spans: EntitySpan[] = [];
  for (let start = 0; start < read.length; ) {
    let end = start + 1;
    if (starters.includes(read[start].prefix)) {
      while (end < read.length && continues(read[end - 1], read[end])) end++;
      if (enders.includes(read[end - 1].prefix)) spans.push({ type: read[start].type, start, end });
    }
    start = end;
  }
  return spans;
}

/**
 * The entities of one sentence.
 *
 * @throws METRIC_VALUE for an empty tag, and in strict mode for a prefix that the scheme does not have
 */
export const entitySpans = (tags: Tags, { strict }: EntityOptions = {}): EntitySpan[] =>
  strict === undefined ? lenientSpans(tags) : strictSpans(tags, strict);

const isKnown = (tag: string): boolean => /^([BIESO]$|[BIES]-)/.test(tag);

/**
 * Precision, recall and F1 of entities, by type and averaged. A figure with denominator 0 is 0; when there is no entity at
 * all, `micro` and `weighted` are 0 and `macro` NaN, as seqeval gives them.
 *
 * @param labels right tags, [sentences][tokens]
 * @param predictions predicted tags, [sentences][tokens]
 * @throws METRIC_SHAPE, METRIC_VALUE
 */
export function entityReport(
  labels: readonly Tags[],
  predictions: readonly Tags[],
  options: EntityOptions = {},
): EntityReport {
  checkRows("right and predicted tags", labels, predictions);
  const counts = new Map<string, Counts>();
  const countOf = (type: string): Counts => {
    const known = counts.get(type) ?? { truePositives: 0, falsePositives: 0, falseNegatives: 0 };
    counts.set(type, known);
    return known;
  };
  // A span is its type, start and end; lenient mode may find one twice, which counts once.
  const keyed = (tags: Tags): Map<string, EntitySpan> =>
    new Map(entitySpans(tags, options).map((span) => [`${span.start} ${span.end} ${span.type}`, span]));
  labels.forEach((tags, sentence) => {
    const right = keyed(tags);
    const predicted = keyed(predictions[sentence]);
    for (const [key, { type }] of right) countOf(type)[predicted.has(key) ? "truePositives" : "falseNegatives"]++;
    for (const [key, { type }] of predicted) if (!right.has(key)) countOf(type).falsePositives++;
  });
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  const types = sorted.map(([type, count]) => ({ type, ...scoresOf(count) }));
  const unknown = (tags: Tags): number => tags.filter((tag) => !isKnown(tag)).length;
  return {
    types,
    micro: microAverage(sorted.map(([, count]) => count)),
    macro: macroAverage(types),
    weighted: weightedAverage(types),
    unknownTags:
      options.strict === undefined ? [...labels, ...predictions].reduce((sum, tags) => sum + unknown(tags), 0) : 0,
  };
}
