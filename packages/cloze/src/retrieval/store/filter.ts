// Which documents of a segment a filter lets through.
import type { JsonValue } from "../../text/index.js";
import { fieldPrefix, fieldTerm, numberOfTerm } from "./document.js";
import type { ListedPostings } from "./stored-postings.js";

/** Bounds of a number, or of a text that writes one out, and what a value must not be; all that are there must hold. */
export interface FieldBounds {
  readonly gte?: number;
  readonly gt?: number;
  readonly lte?: number;
  readonly lt?: number;
  readonly not?: Scalar | readonly Scalar[];
}

type Scalar = string | number | boolean;

/** What a field must be: a value, one of several, within bounds, or not something. */
export type FieldCondition = Scalar | readonly Scalar[] | FieldBounds;

/** Conditions by field; all must hold. */
export type Filter = Readonly<Record<string, FieldCondition>>;

const within = (value: number, { gte, gt, lte, lt }: FieldBounds): boolean =>
  (gte === undefined || value >= gte) &&
  (gt === undefined || value > gt) &&
  (lte === undefined || value <= lte) &&
  (lt === undefined || value < lt);

/** A byte for each document: 1 where one of the terms is. */
function documentsOf(terms: Iterable<string>, fields: ListedPostings, size: number): Uint8Array {
  const found = new Uint8Array(size);
  for (const term of terms) for (const document of fields.read(term)?.documents ?? []) found[document] = 1;
  return found;
}

const termsOf = (field: string, values: Scalar | readonly Scalar[]): string[] =>
  (Array.isArray(values) ? values : [values]).flatMap((value: JsonValue) => fieldTerm(field, value) ?? []);

function* termsWithin(field: string, range: FieldBounds, fields: ListedPostings): Generator<string> {
  for (const term of fields.termsFrom(fieldPrefix(field))) {
    const value = numberOfTerm(field, term);
    if (value !== undefined && within(value, range)) yield term;
  }
}

/** A byte for each document of a segment: 1 where the filter holds. */
export function matchFilter(filter: Filter, fields: ListedPostings, size: number): Uint8Array {
  const result = new Uint8Array(size).fill(1);
  const demand = (terms: Iterable<string>, wanted: 0 | 1) => {
    const found = documentsOf(terms, fields, size);
    for (let document = 0; document < size; document++) if (found[document] !== wanted) result[document] = 0;
  };
  for (const [field, condition] of Object.entries(filter)) {
    if (typeof condition !== "object" || Array.isArray(condition)) {
      demand(termsOf(field, condition as Scalar | readonly Scalar[]), 1);
      continue;
    }
    const { not, ...bounds } = condition as FieldBounds;
    if (not !== undefined) demand(termsOf(field, not), 0);
    if (Object.keys(bounds).length > 0) demand(termsWithin(field, bounds, fields), 1);
  }
  return result;
}
