// A document as an index keeps it, and the terms by which its fields are found.
import type { JsonObject, JsonValue } from "../../text/index.js";
import { fullText } from "../test-collection/texts.js";

/** What is indexed. A document replaces the one that had its id before. */
export interface IndexedDocument {
  readonly id: string;
  readonly text: string;
  readonly title?: string;
  /** Anything else; texts (up to 256 characters), numbers and booleans can be filtered by, lists by any of their parts. */
  readonly fields?: JsonObject;
}

/** The part that is kept beside the id. */
interface Body {
  title?: string;
  text: string;
  fields?: JsonObject;
  /** Where the index keeps them: terms, and their weights as whole numbers. */
  weights?: TermCodes;
}

/** Weights of terms as an index keeps them. */
export type TermCodes = readonly [terms: readonly number[], codes: readonly number[]];

export function encodeBody({ title, text, fields }: IndexedDocument, weights?: TermCodes): Buffer {
  const body: Body = { text };
  if (title !== undefined && title !== "") body.title = title;
  if (fields !== undefined && Object.keys(fields).length > 0) body.fields = fields;
  if (weights !== undefined) body.weights = weights;
  return Buffer.from(JSON.stringify(body));
}

/** A document, and the weights of its terms where the index keeps them. */
export interface StoredDocument {
  readonly document: IndexedDocument;
  readonly weights?: TermCodes;
}

export function decodeBody(id: string, bytes: Uint8Array): StoredDocument {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  const { weights, ...body } = JSON.parse(text) as Body;
  return { document: { id, ...body }, weights };
}

/** What is searched of a document. */
export const searchedText = ({ title = "", text }: IndexedDocument): string => fullText({ title, text });

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

/** The number that a term of a field stands for; undefined for other values. */
export function numberOfTerm(field: string, term: string): number | undefined {
  const key = term.slice(field.length + 1);
  return key.startsWith("n") ? Number(key.slice(1)) : undefined;
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
