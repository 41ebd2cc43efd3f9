// A document as an index keeps it, and the terms by which its fields are found.
import type { JsonObject, JsonValue } from "../../text/index.js";
import type { TermWeights } from "../learned-sparse/term-weights.js";
import { expandedText } from "../test-collection/texts.js";

/** What is indexed. A document replaces the one that had its id before. */
export interface IndexedDocument {
  readonly id: string;
  readonly text: string;
  readonly title?: string;
  /** Searched by words behind the text, and not shown: questions that it answers, terms that a model adds. */
  readonly expansion?: string;
  /**
   * Anything else; texts (up to 256 characters), numbers and booleans can be filtered by, lists by any of their parts. Bounds
   * look at numbers, and at texts that write one out.
   */
  readonly fields?: JsonObject;
}

/** What is shown of a document. */
export type ShownDocument = Omit<IndexedDocument, "expansion">;

/** A document without what is only searched. */
export const shownDocument = ({ expansion: _, ...shown }: IndexedDocument): ShownDocument => shown;

/** What models make of documents: each part where the index keeps it, and one of each document in their order. */
export interface EncodedDocuments {
  /** [documents, width] */
  readonly vectors?: Float32Array;
  /** Weights of terms: numbers, or words where the index says so. */
  readonly weights?: readonly TermWeights[];
  /** Vectors of length 1 of each document's tokens: [tokens, width] */
  readonly tokens?: readonly Float32Array[];
}

/** Weights of terms as an index keeps them. */
export type TermCodes = readonly [terms: readonly (number | string)[], codes: readonly number[]];

/** What an index keeps of a document beside what is shown of it. */
export interface DocumentCodes {
  readonly weights?: TermCodes;
  /** Codes of its tokens. */
  readonly tokens?: Uint8Array;
}

/** The part that is kept beside the id. */
interface Body {
  title?: string;
  text: string;
  expansion?: string;
  fields?: JsonObject;
  /** Where the index keeps them: terms, and their weights as whole numbers. */
  weights?: TermCodes;
}

/** Stands between JSON, which holds no such byte, and the codes of tokens. */
const codesFollow = 0;

/** A document as JSON; behind it, where there are some, the codes of its tokens. */
export function encodeBody(
  { title, text, expansion, fields }: IndexedDocument,
  { weights, tokens }: DocumentCodes = {},
): Buffer {
  const body: Body = { text };
  if (title !== undefined && title !== "") body.title = title;
  if (expansion !== undefined && expansion !== "") body.expansion = expansion;
  if (fields !== undefined && Object.keys(fields).length > 0) body.fields = fields;
  if (weights !== undefined) body.weights = weights;
  const json = Buffer.from(JSON.stringify(body));
  return tokens === undefined || tokens.length === 0 ? json : Buffer.concat([json, Buffer.of(codesFollow), tokens]);
}

/** A document, and what the index keeps beside it. */
export interface StoredDocument extends DocumentCodes {
  readonly document: IndexedDocument;
}

/** What {@link encodeBody} wrote. The codes of tokens are a view of the bytes. */
export function decodeBody(id: string, bytes: Uint8Array): StoredDocument {
  const end = bytes.indexOf(codesFollow);
  const json = end < 0 ? bytes : bytes.subarray(0, end);
  const text = Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString("utf8");
  const { weights, ...body } = JSON.parse(text) as Body;
  return { document: { id, ...body }, weights, tokens: end < 0 ? undefined : bytes.subarray(end + 1) };
}

/** What is searched of a document by words. */
export const searchedText = ({ title = "", text, expansion }: IndexedDocument): string =>
  expandedText({ title, text, expansion });

const longestValue = 256;
const separator = "\0";

/** A value as the end of a term; undefined where it cannot be filtered by. */
function valueKey(value: JsonValue | undefined): string | undefined {
  if (typeof value === "string") return value.length <= longestValue ? `s${value}` : undefined;
  if (typeof value === "number") return `n${value}`;
  if (typeof value === "boolean") return `b${value}`;
  return undefined;
}

/** The term of a field's value. */
export function fieldTerm(field: string, value: JsonValue): string | undefined {
  const key = valueKey(value);
  return key === undefined ? undefined : `${field}${separator}${key}`;
}

/** What all terms of a field begin with. */
export const fieldPrefix = (field: string): string => `${field}${separator}`;

/**
 * What follows the prefix where a term of a field stands for a number: one, or a text that is one written out (4.50, not 007).
 * PostgreSQL reads it too.
 */
export const numberKey = "^(n|s-?(0|[1-9][0-9]*)([.][0-9]+)?$)";
const isNumber = new RegExp(numberKey);

/** The number that a term of a field stands for, or writes out; undefined for other values. */
export function numberOfTerm(field: string, term: string): number | undefined {
  const key = term.slice(field.length + 1);
  return isNumber.test(key) ? Number(key.slice(1)) : undefined;
}

/** The terms of a document's fields; those of objects inside are named a.b. */
export function fieldTerms(fields: JsonObject | undefined, path = ""): string[] {
  const terms: string[] = [];
  for (const [name, value] of Object.entries(fields ?? {})) {
    const field = `${path}${name}`;
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && typeof one === "object" && !Array.isArray(one)) terms.push(...fieldTerms(one, `${field}.`));
      else {
        const term = one === undefined ? undefined : fieldTerm(field, one);
        if (term !== undefined) terms.push(term);
      }
    }
  }
  return terms;
}
