import type { JsonObject, JsonValue } from "../../text/index.js";
import { missingColumn, resolveColumns } from "./columns.js";
import { codePointStarts, hasWideCharacters, locate } from "./offsets.js";
import { splitWords, tagWords, withoutOverlaps } from "./span-tags.js";
import { type TagScheme, type TagSpan, writeTags } from "./tag-scheme.js";
import {
  badValue,
  isAbsent,
  listValue,
  type RowInput,
  sourceOf,
  type TypedRows,
  type TypedRowsOptions,
  textList,
  textValue,
  typedRows,
} from "./typed-rows.js";
import type { DataWarnings } from "./warnings.js";

/** A sentence in tokens, with a tag for each. */
export interface TokenRow {
  readonly tokens: string[];
  /** As many as tokens. Absent: not labelled. */
  readonly tags?: string[];
  /** The text the tokens were cut from, where rows had spans of characters. */
  readonly text?: string;
  /** `[start, end)` of each token in `text`, in UTF-16 units. */
  readonly offsets?: [number, number][];
  /** Which row of its file, from 1. */
  readonly row: number;
}

/** Parts of {@link readTokenRows}. */
export type TokenColumn = "tokens" | "tags" | "text" | "spans";

/** Options of {@link readTokenRows}. */
export interface ReadTokenRowsOptions extends TypedRowsOptions<TokenColumn> {
  /** The scheme in which spans are written as tags; `BIO` unless told. Tags of the file stay as they are. */
  scheme?: TagScheme;
  /** Names of tags where the file has numbers: the name of tag i is `tagNames[i]`. */
  tagNames?: readonly string[];
  /** What spans of characters count; `utf16` (JavaScript) unless told. Python counts `code-point`s. */
  offsetUnit?: "utf16" | "code-point";
}

const tokenRoles = {
  tokens: { names: ["tokens", "words"] },
  tags: { names: ["tags", "ner_tags", "labels", "pos_tags", "tag", "ner"] },
  text: { names: ["text", "sentence", "content"] },
  spans: { names: ["spans", "entities", "ents", "label"] },
} as const;

interface GivenSpan extends TagSpan {
  readonly surface?: string;
}

/** A span in any of its usual forms: an object with start, end, label, or `[start, end, label]`. */
function asSpan(value: JsonValue, column: string, place: string): GivenSpan {
  const expected = '{"start": 0, "end": 4, "label": "PER"}, or [0, 4, "PER"]';
  if (value === null || typeof value !== "object") throw badValue(place, column, expected, value);
  const read = (object: JsonObject) => {
    const pick = (...names: string[]) => object[names.find((name) => object[name] !== undefined) ?? ""];
    return {
      start: pick("start", "start_offset", "begin"),
      end: pick("end", "end_offset"),
      label: pick("label", "type", "entity", "tag"),
      surface: pick("text", "surface", "word"),
    };
  };
  const { start, end, label, surface } = Array.isArray(value)
    ? { start: value[0], end: value[1], label: value[2], surface: undefined }
    : read(value);
  const whole = Number.isInteger(start) && Number.isInteger(end) && (start as number) >= 0;
  if (!whole || (end as number) <= (start as number) || typeof label !== "string" || label === "") {
    throw badValue(place, column, `${expected}, with start < end`, value);
  }
  const span = { start: start as number, end: end as number, label };
  return typeof surface === "string" ? { ...span, surface } : span;
}

/** Spans in UTF-16 units, inside the text, whose surface is what stands there; others are counted and left out. */
function placeSpans(
  text: string,
  spans: readonly GivenSpan[],
  unit: "utf16" | "code-point",
  place: string,
  warnings: DataWarnings,
): TagSpan[] {
  const starts = unit === "code-point" && hasWideCharacters(text) ? codePointStarts(text) : undefined;
  return spans.flatMap(({ label, surface, ...given }): TagSpan[] => {
    const [start, end] = starts === undefined ? [given.start, given.end] : [starts[given.start], starts[given.end]];
    if (start === undefined || end === undefined || end > text.length) {
      warnings.add("DATA_SPAN_OUTSIDE", "spans that reach beyond their text; they were left out", place);
      return [];
    }
    if (surface === undefined || text.slice(start, end) === surface) return [{ start, end, label }];
    const found = starts === undefined ? locate(text, surface, given.start) : undefined;
    if (found !== undefined && [...surface].length === given.end - given.start) {
      const message = "spans that count code points (as Python does); they were converted to UTF-16 units";
      warnings.add("DATA_CODE_POINTS", message, place);
      return [{ start: found.start, end: found.start + surface.length, label }];
    }
    const message = "spans whose text is not what stands there; they were left out";
    warnings.add("DATA_SPAN_MISMATCH", message, `${place} (${JSON.stringify(surface)} at ${given.start})`);
    return [];
  });
}

const overlapMessage = "spans that overlap or lie inside others; the longest were kept";

/**
 * Tokens with tags: from CoNLL columns, from rows of `tokens` and `tags` (names, or numbers with `tagNames`), of `tokens`
 * and spans of tokens, or of `text` and spans of characters `{ start, end, label, text? }` (end exclusive).
 *
 * Texts are cut into words and single signs. Spans that overlap, lie inside one another, cut a word, reach beyond the
 * text or do not match their own `text` are counted in `warnings`.
 *
 * @throws DATA_COLUMN_MISSING, DATA_VALUE (also for another number of tags than tokens), and what `openRows` throws
 */
export async function readTokenRows(
  input: RowInput,
  options: ReadTokenRowsOptions = {},
): Promise<TypedRows<TokenRow, TokenColumn>> {
  const { scheme = "BIO", offsetUnit = "utf16", tagNames } = options;
  const source = sourceOf(input, options);
  const { warnings } = source;
  const available = await source.columns();
  const resolved = resolveColumns<TokenColumn>(source.path, available, tokenRoles, options.columns);
  const { tokens, tags, text, spans } = resolved.columns;
  if (tokens === undefined && text === undefined) {
    throw missingColumn(source.path, "tokens", '"tokens" (and "tags"), or "text" (and "spans")', available);
  }
  const spanList = (values: JsonObject, place: string): GivenSpan[] | undefined => {
    if (spans === undefined || isAbsent(values[spans])) return undefined;
    const list = listValue(values[spans]);
    if (list === undefined) throw badValue(place, spans, "an array of spans", values[spans]);
    return list.map((one) => asSpan(one, spans, place));
  };
  const tagList = (values: JsonObject, column: string, place: string): string[] => {
    const list = textList(values[column], column, place);
    if (tagNames === undefined) return list;
    return list.map((tag) => {
      const name = /^\d+$/.test(tag) ? tagNames[Number(tag)] : tag;
      if (name === undefined) throw badValue(place, column, `numbers below ${tagNames.length}`, tag);
      return name;
    });
  };

  const fromTokens = (values: JsonObject, column: string, place: string, row: number): TokenRow => {
    const words = textList(values[column], column, place);
    if (tags !== undefined && !isAbsent(values[tags])) {
      const list = tagList(values, tags, place);
      if (list.length === words.length) return { tokens: words, tags: list, row };
      throw badValue(place, tags, `${words.length} tags, one per token`, `${list.length} tags`);
    }
    const list = spanList(values, place);
    if (list === undefined) return { tokens: words, row };
    const inside = list.filter(({ end }) => end <= words.length);
    const outside = list.length - inside.length;
    if (outside > 0)
      warnings.add("DATA_SPAN_OUTSIDE", "spans that reach beyond their tokens; left out", place, outside);
    const { kept, dropped } = withoutOverlaps(inside);
    if (dropped > 0) warnings.add("DATA_SPAN_OVERLAP", overlapMessage, place, dropped);
    return { tokens: words, tags: writeTags(words.length, kept, scheme), row };
  };

  const fromText = (values: JsonObject, column: string, place: string, row: number): TokenRow => {
    const whole = textValue(values, column, place);
    const { tokens: words, offsets } = splitWords(whole);
    const list = spanList(values, place);
    if (list === undefined) return { tokens: words, text: whole, offsets, row };
    const found = tagWords(offsets, placeSpans(whole, list, offsetUnit, place, warnings), scheme);
    const report = (code: string, message: string, count: number) => {
      if (count > 0) warnings.add(code, message, place, count);
    };
    report("DATA_SPAN_OVERLAP", overlapMessage, found.dropped);
    report("DATA_SPAN_INSIDE_WORD", "spans that begin or end inside a word; widened to whole words", found.insideWord);
    report("DATA_SPAN_EMPTY", "spans without a word; they were left out", found.empty);
    return { tokens: words, tags: found.tags, text: whole, offsets, row };
  };

  return typedRows<TokenRow, TokenColumn>(source, resolved, options.onBadRow, (values, place, { number }) =>
    tokens !== undefined ? fromTokens(values, tokens, place, number) : fromText(values, text as string, place, number),
  );
}
