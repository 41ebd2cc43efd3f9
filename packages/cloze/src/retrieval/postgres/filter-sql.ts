// Conditions on fields as SQL over the column `terms`.
import type { JsonValue } from "../../text/index.js";
import { fieldPrefix, fieldTerm, numberKey } from "../store/document.js";
import type { FieldBounds, Filter } from "../store/filter.js";

const signs = { gte: ">=", gt: ">", lte: "<=", lt: "<" } as const;

/** A term as PostgreSQL can hold it: it knows no NUL. */
export const storedTerm = (term: string): string => term.replaceAll("\0", "\u0001");

const termsOf = (field: string, values: unknown): string[] =>
  (Array.isArray(values) ? values : [values]).flatMap((value: JsonValue) => {
    const term = fieldTerm(field, value);
    return term === undefined ? [] : [storedTerm(term)];
  });

/** SQL that holds for the documents that the filter lets through; its values are appended to `values`. */
export function filterSql(filter: Filter | undefined, values: unknown[]): string {
  const parts: string[] = [];
  const parameter = (value: unknown): string => `$${values.push(value)}`;
  for (const [field, condition] of Object.entries(filter ?? {})) {
    if (typeof condition !== "object" || Array.isArray(condition)) {
      parts.push(`d.terms && ${parameter(termsOf(field, condition))}::text[]`);
      continue;
    }
    const { not, ...bounds } = condition as FieldBounds;
    if (not !== undefined) parts.push(`NOT d.terms && ${parameter(termsOf(field, not))}::text[]`);
    const prefix = storedTerm(fieldPrefix(field));
    const key = prefix.length + 1;
    const tests = Object.entries(bounds).map(
      ([name, bound]) =>
        `substr(t, ${key + 1})::float8 ${signs[name as keyof typeof signs]} ${parameter(bound)}::float8`,
    );
    if (tests.length === 0) continue;
    const starts = `starts_with(t, ${parameter(prefix)}) AND substr(t, ${key}) ~ ${parameter(numberKey)}`;
    // CASE: the number is read only where there is one.
    parts.push(
      `EXISTS (SELECT 1 FROM unnest(d.terms) AS t WHERE CASE WHEN ${starts} THEN ${tests.join(" AND ")} ELSE false END)`,
    );
  }
  return parts.length === 0 ? "true" : parts.join(" AND ");
}
